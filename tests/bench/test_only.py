"""`make bench ARGS="--only NAME"`: what the documentation names exists, and anything else is wrong use."""

import re

import pytest
import typer
from mqtt443_tools.support.paths import ROOT
from typer.testing import CliRunner

from bench import __main__ as bench


def test_every_section_that_the_documentation_names_exists() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile", *ROOT.glob("docs/*.md")]
    named = re.findall(r"--only ([\w-]+)", "".join(page.read_text() for page in pages))
    assert named and [name for name in named if not any(name in known for known in bench.NAMES)] == []


def test_unknown_section_is_wrong_use_and_measures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(bench, "bench")
    app = typer.Typer()
    app.command()(bench.main)
    done = CliRunner().invoke(app, ["--only", "nonsense"])
    assert done.exit_code == 2
    assert "no section has nonsense in its name" in re.sub(r"[\s│]+", " ", done.output)
