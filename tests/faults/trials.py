"""Trials: one board connects, publishes with QoS 1 and leaves, again and again, each time through another fault.

It is the board's own client on real MicroPython, without the main loop, which would wait between two attempts. What is
asserted of every trial, whatever the fault, is `Trials.check`.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.firmware.micropython import prepare
from tests.firmware.servers import Server
from tests.support.board import FIRMWARE
from tests.support.core import RunningCore
from tests.support.relay import UNHARMED, Passage, Relay, Treatment
from tools.paths import UMQTT
from tools.virtualboard.interpreters import Interpreter

PAYLOAD_BYTES = 100
ENOUGH_TRIALS = 40
SLACK_BYTES = 512  # of heap, for what a conservative collector leaves

# What a trial says, a line of JSON each; whatever is not of our own tree of errors ends the program with a traceback.
PROGRAM = """
import gc, json
from mqtt443 import config, errors
from mqtt443.client import Client
from mqtt443.transport import Transport

settings = config.load()
settings.timeout_s = TIMEOUT_S
client = Client(settings, Transport(settings))
for n in range(COUNT):
    error = text = None
    acknowledged = 0
    try:
        client.connect()
        for m in range(MESSAGES):
            client.publish(settings.topic, b"%-*s" % (PAYLOAD_BYTES, b"%d.%d" % (n, m)), qos=1)
            acknowledged += 1
        client.disconnect()
    except errors.Mqtt443Error as e:
        error = type(e).__name__
        text = str(e)
    client.close()
    gc.collect()
    print(json.dumps({"error": error, "text": text, "acknowledged": acknowledged, "heap": gc.mem_alloc()}))
"""


@dataclass(frozen=True)
class Trial:
    """What became of one connection. `acknowledged`: for how many messages `publish` returned."""

    error: str | None
    text: str | None
    acknowledged: int
    heap: int
    passage: Passage


@dataclass
class Trials:
    """A board's trials and what the endpoint received meanwhile, as (trial, message) numbers."""

    trials: list[Trial]
    received: list[tuple[int, int]]
    messages: int

    def check(self) -> None:
        """No acknowledged message is missing, none is torn, every failure names itself, and the heap is flat."""
        got = set(self.received)
        for n, trial in enumerate(self.trials):
            lost = [m for m in range(trial.acknowledged) if (n, m) not in got]
            assert not lost, f"trial {n}: acknowledged, but never received: {lost}"
            # An error with every message acknowledged is one of DISCONNECT.
            assert trial.error is not None or trial.acknowledged == self.messages, trial
            assert trial.error is None or len(trial.text or "") > 40, trial
        assert len(self.received) == len(got), "a message came twice on a new session"
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
    timeout_s: float = 5,
    limit_s: float = 50.0,
    port: int | None = None,
    **config: Any,
) -> Trials:
    """Run one trial a treatment, in their order, and a last one without a fault, which must go through.

    Arguments:
        folder: an empty one; its name becomes the client id.
        messages: how many a trial publishes.
        timeout_s: the client's deadline for each step; lower than a config may have it.
        limit_s: how long all of it may take: a hang ends here.
        port: of the endpoint, if not its default one.
        config: keys of the board's config.json.
    """
    password = core.add_device(folder.name)
    plan = [*treatments, UNHARMED]
    with Relay(port or core.port, lambda n: plan[n]) as relay:
        server = Server(relay.port, core.ca.read_bytes())
        prepare(folder, server, client_id=folder.name, username=folder.name, password=password, **config)
        constants = {"COUNT": len(plan), "MESSAGES": messages, "TIMEOUT_S": timeout_s, "PAYLOAD_BYTES": PAYLOAD_BYTES}
        (folder / "program.py").write_text(
            "".join(f"{name} = {value}\n" for name, value in constants.items()) + PROGRAM
        )
        result = subprocess.run(
            [*interpreter.command, "program.py"],
            check=False,
            cwd=folder,
            env={"MICROPYPATH": f"{folder}:{FIRMWARE}:{UMQTT}"},
            capture_output=True,
            text=True,
            timeout=limit_s,
        )
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr
        passages = relay.passages
    assert len(passages) == len(plan), "a trial is one connection"
    said = [json.loads(line) for line in result.stdout.splitlines()]
    trials = [Trial(passage=passage, **report) for report, passage in zip(said, passages, strict=True)]
    assert trials[-1].error is None, f"without a fault: {trials[-1]}"
    topic = f"telemetry/{folder.name}"
    received = core.run(lambda: [_numbers(message.payload) for message in core.messages if message.topic == topic])
    return Trials(trials, received, messages)


def _numbers(payload: bytes) -> tuple[int, int]:
    assert len(payload) == PAYLOAD_BYTES, f"torn: {payload!r}"
    trial, message = payload.decode().split(".")
    return int(trial), int(message)
