"""Trials: one board connects, empties its outbox and disconnects, again and again, each time through another fault.

It is the board's own client, outbox and sender on real MicroPython, without the main loop, which would wait between two
attempts. `Trials.check` holds for every trial, whatever the fault.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mqtt443_tools.virtualboard.interpreters import Interpreter

from tests.firmware.micropython import prepare, run
from tests.firmware.servers import Server
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED, Passage, Relay, Treatment

PAYLOAD_BYTES = 100
ENOUGH_TRIALS = 40
SLACK_BYTES = 512  # of heap, for what a conservative collector leaves

# A trial prints a line of JSON; any error that is not in our tree ends the program with a traceback.
# Each trial has the same number of messages to send: those left over from earlier trials, and new ones.
PROGRAM = """
import gc, json
from mqtt443 import config_schema, errors
from mqtt443.client import Client
from mqtt443.outbox import Outbox
from mqtt443.sender import Sender
from mqtt443.transport import Transport

settings = config_schema.load()
settings.timeout_s = TIMEOUT_S
client = Client(settings, Transport(settings))
client.set_callback(print)
outbox = Outbox("outbox", 0, print)
acknowledged = made = 0

def sent(payload, refusal):
    global acknowledged
    acknowledged += 1

sender = Sender(client, outbox, settings, sent)
for n in range(COUNT):
    while made - acknowledged < MESSAGES:
        made += 1
        outbox.put(b"%-*s" % (PAYLOAD_BYTES, b"%d" % made))
    error = text = None
    session = False
    try:
        session = client.connect()
        sender.begin(session)
        while not outbox.empty():
            left_ms = sender.pump()
            client.wait(1000 if left_ms is None else left_ms)
        if GOODBYE:
            client.disconnect()
    except errors.Mqtt443Error as e:
        error = type(e).__name__
        text = str(e)
    client.close()
    gc.collect()
    print(json.dumps({"error": error, "text": text, "session": session, "made": made, "acknowledged": acknowledged,
        "heap": gc.mem_alloc()}))
"""


@dataclass(frozen=True)
class Trial:
    """The result of one connection.

    `session`: whether the endpoint had kept one. `made`, `acknowledged`: messages up to here, of this and all before.
    """

    error: str | None
    text: str | None
    session: bool
    made: int
    acknowledged: int
    heap: int
    passage: Passage


@dataclass
class Trials:
    """A board's trials and the numbers of the messages that the endpoint received meanwhile."""

    trials: list[Trial]
    received: list[int]
    messages: int

    def check(self) -> None:
        """No message is missing, torn or out of order, every failure names itself, and the heap is flat."""
        made = self.trials[-1].made
        assert list(dict.fromkeys(self.received)) == list(range(1, made + 1)), self.received
        assert self.trials[-1].acknowledged == made
        # At most what was in flight is repeated, once per connection that failed before everything was acknowledged.
        failed = sum(trial.acknowledged < trial.made for trial in self.trials)
        steps = [a + 1 - b for a, b in itertools.pairwise(self.received) if b <= a]
        assert len(steps) <= failed, f"{failed} connections failed: {self.received}"
        assert max(steps, default=0) <= self.messages, self.received
        for trial in self.trials:
            # An error with every message acknowledged is one of DISCONNECT.
            assert trial.error is not None or trial.acknowledged == trial.made, trial
            assert trial.error is None or len(trial.text or "") > 40, trial
        # What a failure loads may stay for a while: the first half says how much that is, if it has enough failures.
        heap, middle = [trial.heap for trial in self.trials], len(self.trials) // 2
        if middle >= ENOUGH_TRIALS:
            assert max(heap[middle:]) <= max(heap[:middle]) + SLACK_BYTES, f"the heap grew: {heap}"

    @property
    def errors(self) -> list[str | None]:
        """The error of each trial, None for one that went through."""
        return [trial.error for trial in self.trials]


def run_trials(
    core: RunningCore,
    interpreter: Interpreter,
    folder: Path,
    treatments: Sequence[Treatment],
    *,
    messages: int = 1,
    goodbye: bool = True,
    timeout_s: float = 5,
    limit_s: float = 50.0,
    port: int | None = None,
    **config: Any,
) -> Trials:
    """Run one trial per treatment, in order, and a last one without a fault, which must succeed.

    Args:
        folder: an empty one; its name becomes the client id.
        messages: how many a trial has to send; up to the window they are in flight together.
        goodbye: end each connection with DISCONNECT.
        timeout_s: the client's deadline for each step; lower than a config may have it.
        limit_s: time limit for all trials, which ends a hang.
        port: of the endpoint, if not its default one.
        config: keys of the board's config.json.
    """
    password = core.add_device(folder.name)
    plan = [*treatments, UNHARMED]
    with Relay(port or core.port, lambda n: plan[n]) as relay:
        server = Server(relay.port, core.ca.read_bytes())
        prepare(folder, server, client_id=folder.name, username=folder.name, password=password, **config)
        constants = {
            "COUNT": len(plan),
            "MESSAGES": messages,
            "GOODBYE": goodbye,
            "TIMEOUT_S": timeout_s,
            "PAYLOAD_BYTES": PAYLOAD_BYTES,
        }
        source = "".join(f"{name} = {value}\n" for name, value in constants.items()) + PROGRAM
        output = run(interpreter, folder, source, limit_s)
        passages = relay.passages
    assert len(passages) == len(plan), "a trial is one connection"
    said = [json.loads(line) for line in output.splitlines()]
    trials = [Trial(passage=passage, **report) for report, passage in zip(said, passages, strict=True)]
    assert trials[-1].error is None, f"without a fault: {trials[-1]}"
    topic = f"telemetry/{folder.name}"
    received = core.run(lambda: [_number(message.payload) for message in core.messages if message.topic == topic])
    return Trials(trials, received, messages)


def _number(payload: bytes) -> int:
    assert len(payload) == PAYLOAD_BYTES, f"torn: {payload!r}"
    return int(payload)
