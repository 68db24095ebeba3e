"""The Makefile: what it lists, and that `make test` runs the tests even if lint fails and reports both."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from mqtt443_tools.support.paths import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
PROGRAMS = ("python", "ruff", "mypy")
FAKE = '#!/bin/sh\necho "$(basename "$0") $*" >> calls\ncase "$(basename "$0") $*" in {failing}) exit 1;; esac\n'


class Checkout:
    """A folder with this Makefile, and programs in .venv that only write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(ROOT / "Makefile", folder)
        (folder / "tools/mqtt443_tools/support").mkdir(parents=True)
        for name in ("pyproject.toml", "setup.py", "tools/mqtt443_tools/support/fetch_umqtt.py"):
            (folder / name).touch()
        (folder / ".venv/bin").mkdir(parents=True)
        for name in (".venv/bin/pip", ".venv/.demo", ".venv/.test"):
            (folder / name).touch()

    def make(self, *arguments: str, failing: str = "nothing") -> subprocess.CompletedProcess[str]:
        """Run make; calls that fit the shell pattern `failing` exit with 1."""
        for name in PROGRAMS:
            program = self.folder / ".venv/bin" / name
            program.write_text(FAKE.format(failing=failing))
            program.chmod(0o755)
        environment = {"PATH": os.environ["PATH"]}
        return subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def calls(self, pattern: str) -> list[str]:
        """Return the calls in which a pattern is found."""
        return [line for line in (self.folder / "calls").read_text().splitlines() if re.search(pattern, line)]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize(
    ("failing", "verdict"),
    [
        ("nothing", None),
        ("'ruff check'", "failed: lint"),
        ("mypy*", "failed: lint"),
        ("*pytest*", "failed: pytest"),
        ("ruff*|*pytest*", "failed: lint pytest"),
    ],
)
def test_make_test_runs_everything_and_reports_each_failure(
    checkout: Checkout, failing: str, verdict: str | None
) -> None:
    done = checkout.make("test", "ARGS=-k name", failing=failing)
    assert len(checkout.calls("^ruff check|^ruff format --check|^mypy")) == 3
    assert checkout.calls("pytest") == ["python -m pytest -k name"]
    assert (done.returncode == 0) == (verdict is None)
    if verdict:
        assert verdict in done.stderr.splitlines()


def test_make_test_continues_if_micropython_cannot_be_built(checkout: Checkout) -> None:
    done = checkout.make("test", failing="*micropython*")
    assert done.returncode == 0
    assert "test: MicroPython could not be built" in done.stdout
    assert checkout.calls("pytest")


def test_make_coverage_adds_to_the_given_arguments(checkout: Checkout) -> None:
    assert checkout.make("coverage", "ARGS=-k name").returncode == 0
    (call,) = checkout.calls("pytest")
    assert call.startswith("python -m pytest tests/")
    assert call.endswith(" --cov --cov-report=term:skip-covered -k name")


@pytest.mark.parametrize("arguments", [(), ("help",)])
def test_make_help_lists_every_target(checkout: Checkout, arguments: tuple[str, ...]) -> None:
    listed = re.findall(r"^  ([a-z]+) +\S", checkout.make(*arguments).stdout, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (help .*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert sorted(listed) == sorted(phony[1].split())
