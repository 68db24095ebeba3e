"""How much other programs take is what the whole machine used, without this process and its descendants."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.comparison import Comparison
from bench.figures import Figure
from bench.machine import Usage

BURN = "import time\nwhile time.process_time() < {seconds}: pass"


def test_others_are_what_this_process_and_its_descendants_did_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    earlier = Usage(at=10.0, whole=100.0, own=40.0)
    assert Usage(at=20.0, whole=112.0, own=46.0).others_since(earlier) == pytest.approx(0.3)
    assert Usage(at=20.0, whole=106.0, own=46.5).others_since(earlier) == 0.0  # the counts are not taken at one moment


def test_children_are_own_while_they_run_and_afterwards() -> None:
    before = Usage.now()
    subprocess.run([sys.executable, "-c", BURN.format(seconds=0.3)], check=True)
    ended = Usage.now()
    assert ended.own - before.own >= 0.28, "ticks of 10 ms round down"
    running = subprocess.Popen(
        [sys.executable, "-c", BURN.format(seconds=0.3) + "\nprint(1, flush=True)\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert running.stdout is not None
    running.stdout.readline()
    assert Usage.now().own - ended.own >= 0.28
    running.communicate(b"\n")
    assert Usage.now().whole >= Usage.now().own


def test_missed_time_goal_on_a_busy_machine_is_noise_and_says_so() -> None:
    runs = {"localcore": (9_000.0, 9_100.0, 9_200.0)}
    quiet, busy = (Comparison("fan-out", "1/s", runs, goal=30_000, others=others) for others in (0.02, 0.46))
    assert (quiet.verdict, quiet.spread) == ("MISSED", "9,000 to 9,200")
    assert (busy.verdict, busy.spread) == ("noise", "9,000 to 9,200; other programs took 46% of the processors")
    figure = Figure("round trip", "ms", 0.5, goal="<= 0.3", met=False, all_runs=((0.4, 0.5, 0.5),), others=0.46)
    assert figure.is_noise
    assert figure.spread == "0.4 to 0.5; other programs took 46% of the processors"


def test_memory_that_exceeds_its_goal_is_no_noise() -> None:
    assert Comparison("memory", "KB", {"localcore": (61.0,)}, goal=60, others=0.9).verdict == "MISSED"
    assert not Figure("heap", "bytes", 61, goal="<= 60", met=False, others=0.9).is_noise
