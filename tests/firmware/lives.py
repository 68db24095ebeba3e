"""A board that lives several times: each start of it does the next step of a plan, across real resets."""

import shutil
from collections.abc import Callable
from pathlib import Path

from mqtt443_tools.virtualboard.interpreters import Interpreter
from mqtt443_tools.virtualboard.supervisor import VirtualBoard

from tests.support.board.package import FIRMWARE

DEADLINE_S = 30

# Each start prints what `begin` made of it as one line of JSON, then does its step; a plan ends at the prompt.
PROGRAM = """
import json, machine
from mqtt443 import boot, power

reason, cause, counters, _ = boot.count_start("", lambda text: print("log", text))
with open("steps") as file:
    steps = file.read().split(",")
with open("steps", "w") as file:
    file.write(",".join(steps[1:]))
starts = counters.pop("starts")
print(json.dumps({"reason": reason, "cause": cause, "starts": starts, "counters": counters}))
for step in steps[0].split("+"):
    if step == "healthy":
        power.mark_boot_ok()
    elif step == "crash":
        machine.reset()
    elif step == "watchdog":
        machine.WDT(timeout=200)
        while True:
            pass
    elif step == "soft":
        machine.soft_reset()
    elif step == "restart":
        power.reset("", "asked", {"seq": 7, "starts": 2}, print)
    elif step == "reset":
        power.reset("", None, {}, print)
    elif step == "sleep":
        power.deep_sleep(1, {"seq": 9, "starts": 2})
    elif step == "late":
        power.deep_sleep(-5, {})
    elif step == "own sleep":
        machine.deepsleep(1)
"""


def lay_out(root: Path) -> None:
    """Put the package onto an empty board, with the program of this module."""
    shutil.copytree(FIRMWARE / "mqtt443", root / "lib" / "mqtt443", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "main.py").write_text(PROGRAM)


def live(
    interpreter: Interpreter, root: Path, steps: str, on_line: Callable[[str], None], **world: object
) -> list[int]:
    """Live through steps (with commas, a step of several with plus signs); return the cause of each start."""
    if not (root / "lib").exists():
        lay_out(root)
    (root / "steps").write_text(steps)
    with VirtualBoard(interpreter, root, on_line, world=world) as board:
        assert board.wait(DEADLINE_S), "the board did not come to its prompt"
        assert board.exit_code == 0
    return board.resets
