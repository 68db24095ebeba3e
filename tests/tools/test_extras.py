"""The commands for boards without their extra: all else works, and one line says what to install."""

import subprocess
import sys

import pytest
from mqtt443_tools.support.paths import ROOT

EXTRAS = ("esptool", "serial", "mpremote", "littlefs", "segno", "boto3", "botocore", "awscrt")


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run mqtt443 where nothing of the extras can be imported."""
    program = f"""
import sys
sys.modules.update(dict.fromkeys({EXTRAS}))
from mqtt443_tools.cli import main
sys.argv[1:] = {list(arguments)}
main()
"""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=40, check=False, cwd=ROOT)


@pytest.mark.parametrize("command", ["push", "monitor"])
def test_missing_extra_is_one_line_with_the_remedy(command):
    done = run(command)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"mqtt443: {command} needs " in done.stderr
    assert done.stderr.endswith("which is not installed: .venv/bin/pip install --editable '.[board]'\n")


@pytest.mark.parametrize("arguments", [("--help",), ("config", "schema"), ("check", "--config", "config.example.json")])
def test_other_commands_do_without(arguments):
    assert "not installed" not in run(*arguments).stderr


def test_check_walks_without_the_extras():
    done = run("check", "--config", "config.example.json")
    assert done.stdout.startswith("failed  config")
    assert "ca: there is no file" in done.stdout
    assert done.returncode == 1
