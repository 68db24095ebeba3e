"""Mutated commands for the board.

The board's code runs on real MicroPython. Seeded: MQTT443_SEED repeats a run. `board_fuzz` says how many cases.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.faults.board_fuzz import INTERPRETERS, LONG, SHORT, run_cases
from tests.faults.conftest import Form
from tests.faults.mutations import mutated
from tests.firmware.hostile_commands import HOSTILE

COMMANDS = """
import mqtt443
from mqtt443 import command_context

def deep(order):
    return deep(order)

def leave(order):
    raise SystemExit

@mqtt443.command("echo")
def echo(order):
    return order

@mqtt443.command("relay")
def relay(order):
    return order["on"] + 1

mqtt443.handlers.update({"deep": deep, "leave": leave})

class Part:
    retained = False
    name = "tls"
    interval_s = 60
    max_bytes = 4096
    transport = uptime = None

    def ms(self):
        return 5

class App(Part):
    root = ""
    client = config = readings = uptime = Part()
    handlers = mqtt443.handlers
    refused = interval_ms = next_reading_at = 0
    shutdown = None
    lines = []

    def log(self, text):
        self.lines.append(text)

    def now(self):
        return 1800000000

    def ticks(self):
        return 0

    def accept(self, payload):
        tell("answer", payload)

    def counters(self):
        return {"subscribed": 1}

Part.transport = Part()
Part.uptime = Part()
app = App()

def case():
    app.lines.clear()
    data = cases.read(channel.sizes.pop())
    refused, interval_ms, _, shutdown = command_context.execute(app, data)
    return {"refused": refused, "interval_ms": interval_ms, "shutdown": shutdown, "lines": app.lines}
"""
VALUES = (b"5", b"0", b"86400", b"86401", b"null", b"true", b'"x"', b'"\\ud800"', b"[1]", b"1e400", b"-0", b'{"a": []}')


def command(source: random.Random) -> bytes:
    """A command, mostly a valid one."""
    name = source.choice(
        (b"interval", b"send_now", b"report", b"restart", b"echo", b"echo", b"relay", b"deep", b"leave")
    )
    parts = [b'"command": "%s"' % name]
    for key in source.sample(
        (b"interval_s", b"on", b"request_id", b"text", "ä".encode(), b"loop"), source.randrange(4)
    ):
        parts.append(b'"%s": %s' % (key, source.choice(VALUES)))
    source.shuffle(parts)
    return b"{" + b", ".join(parts) + b"}"


@pytest.mark.parametrize("name", INTERPRETERS)
def test_mutated_commands_are_run_or_refused_in_one_line(tmp_path: Path, form: Form, name: str) -> None:
    source = form.random("board commands " + name)
    hostile = [each for each in HOSTILE if each]
    commands = []
    for _ in range(form.pick(SHORT, LONG)):
        right = source.random() < 0.98
        commands.append(mutated(source, command(source) if right else source.choice(hostile), 6) or b"{")
    ran = 0
    for sent, case in zip(commands, run_cases(tmp_path, name, COMMANDS, [[each] for each in commands]), strict=True):
        (line,) = [each for each in case.result["lines"] if not each.startswith("state: ")]
        assert line.isprintable(), (case, sent)
        assert case.result["refused"] == line.startswith("command refused: "), (case, sent)
        assert case.result["interval_ms"] == 0 or 1000 <= case.result["interval_ms"] <= 86_400_000, (case, sent)
        ran += not case.result["refused"]
        for answer in case.all("answer"):
            json.loads(answer.decode(), parse_constant=refuse)
            assert len(answer) <= 4096
    assert len(commands) // 10 < ran < len(commands), "mutations that change everything, or nothing, find nothing"


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
