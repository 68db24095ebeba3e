"""Commands on real MicroPython: each one runs, and neither bad messages nor bad functions stop the board."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.firmware.hostile_commands import HOSTILE, RESTART
from tests.firmware.micropython import run
from tests.support.board.interpreters import MICROPYTHON, need_roomy

Handler = Callable[[dict[str, Any]], Any]


PROGRAM = """
import binascii, gc, json
import mqtt443

def deep(order):
    return deep(order)

def leave(order):
    raise SystemExit

def loop(order):
    order["loop"] = order
    return order

def full(order):
    return bytearray(1 << 28)

def mute(order):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError
    raise Mute

def stop(order):
    raise KeyboardInterrupt

@mqtt443.command("relay")
def relay(order):
    return order["on"]

mqtt443.handlers.update({
    "echo": lambda order: order, "deep": deep, "leave": leave, "loop": loop, "full": full, "mute": mute, "stop": stop,
    "count": lambda order: 3, "nan": lambda order: float("nan"),
})
from mqtt443 import commands

did = []

class Context:
    handlers = mqtt443.handlers
    max_bytes = 4096

    def set_interval(self, seconds):
        did.append(["set_interval", seconds])

    def send_now(self):
        did.append(["send_now"])

    def answer(self, request_id, key, value):
        did.append([key, value] + ([request_id] if request_id else []))

    def report(self):
        return {"uptime_s": 5}

    def restart(self, cause):
        did.append(["restart", cause])

with open("messages") as file:
    for line in file:
        did.clear()
        gc.collect()
        try:
            said = commands.run(binascii.unhexlify(line.strip()), Context())
        except ValueError as e:
            said = "refused: " + str(e)
        except KeyboardInterrupt:
            said = "Ctrl-C"
        print(json.dumps([said, did]))
"""


@pytest.fixture
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[list[bytes]], list[Any]]:
    """Run messages on a real MicroPython; return the line or refusal of each, and what the board was told."""
    interpreter = need_roomy(request.param)

    def board(messages: list[bytes]) -> list[Any]:
        (tmp_path / "messages").write_text("".join(message.hex() + "\n" for message in messages))
        return [json.loads(line) for line in run(interpreter, tmp_path, PROGRAM).splitlines()]

    return board


def order(name: str, **arguments: object) -> bytes:
    return json.dumps({"command": name, **arguments}).encode()


@pytest.mark.parametrize("board", MICROPYTHON, indirect=True)
def test_micropython_runs_each_command(board: Callable[[list[bytes]], list[Any]]) -> None:
    expected = [
        (order("interval", interval_s=5), "command interval", [["set_interval", 5]]),
        (order("interval", interval_s=None), "command interval", [["set_interval", None]]),
        (order("send_now"), "command send_now", [["send_now"]]),
        (order("report"), "command report", [["report", {"uptime_s": 5}]]),
        (order("restart"), "command restart", [["restart", "command restart"]]),
        (order("echo", text="ä", list=[1]), "command echo", [["report", {"text": "ä", "list": [1]}]]),
        (order("count"), "command count", [["report", {"count": 3}]]),
        (order("relay", on=None), "command relay", []),
        (order("relay"), "refused: relay raised KeyError: on", []),
        (order("leave"), "refused: leave raised SystemExit: ", []),
        (order("mute"), "refused: mute raised Mute", []),
        (order("loop"), "refused: loop raised ValueError: nested too deep", []),
        (order("nan"), "refused: nan raised ValueError: not a number", []),
        (order("send_now", request_id="r1"), "command send_now", [["send_now"], ["report", {}, "r1"]]),
        (order("count", request_id="r2"), "command count", [["report", {"count": 3}, "r2"]]),
        (order("gone", request_id="r3"), "refused: no command 'gone'", [["refused", "no command 'gone'", "r3"]]),
        (order("stop"), "Ctrl-C", []),
        (order("\x1b[2J"), "refused: no command '\\x1b[2J'", []),
    ]
    for (message, line, did), got in zip(expected, board([row[0] for row in expected]), strict=True):
        assert got == [line, did], message


@pytest.mark.parametrize("board", MICROPYTHON, indirect=True)
def test_micropython_survives_functions_without_end_or_memory(board: Callable[[list[bytes]], list[Any]]) -> None:
    (deep, _), (full, _), (after, _) = board([order("deep"), order("full"), order("send_now")])
    assert deep.startswith(("refused: deep raised RuntimeError", "refused: deep raised MemoryError"))
    assert full.startswith("refused: full raised ")
    assert after == "command send_now"


@pytest.mark.parametrize("board", MICROPYTHON, indirect=True)
def test_micropython_refuses_invalid_commands(board: Callable[[list[bytes]], list[Any]]) -> None:
    seconds = [b"0", b"-1", b"86401", b"5.0", b"1e999", b"true", b'"5"', b"[5]", b"{}"]
    hostile = HOSTILE + [b'{"command": "interval", "interval_s": %s}' % value for value in seconds]
    for message, (said, did) in zip(hostile, board(hostile), strict=True):
        assert said.startswith("refused: "), (message[:80], said)
        assert did == []


@pytest.mark.parametrize("board", MICROPYTHON, indirect=True)
def test_micropython_survives_broken_commands(board: Callable[[list[bytes]], list[Any]]) -> None:
    dice = random.Random(443)
    whole = [order("interval", interval_s=5), order("echo", a=[1, {"b": "ä"}], c=-1.5e3), RESTART]
    broken = []
    for _ in range(300):
        spoiled = bytearray(dice.choice(whole))
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(spoiled))
            spoiled[at : at + dice.randint(0, 2)] = dice.choice([b"", b"{", b"]", b'"', b",", b"-", b"\xff", b"\\u"])
        broken.append(bytes(spoiled))
    answers = board(broken)
    assert len(answers) == len(broken)
    for message, (said, did) in zip(broken, answers, strict=True):
        assert said.startswith(("refused: ", "command ")), message
        assert len(did) == said.startswith("command "), message
