"""Extras: everything else works without them, and one line names the command that installs a missing one."""

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from mqtt443_tools.support import extras
from mqtt443_tools.support.extras import install_command
from mqtt443_tools.support.paths import ROOT

CLOUD = ("boto3", "botocore", "awscrt", "awsiot")


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run mqtt443 where nothing of the extra can be imported."""
    program = f"""
import sys
sys.modules.update(dict.fromkeys({CLOUD}))
from mqtt443_tools.cli import main
sys.argv[1:] = {list(arguments)}
main()
"""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=40, check=False, cwd=ROOT)


@pytest.mark.parametrize(
    "arguments",
    [("cloud", "status"), ("device", "list", "--stack", "mqtt443"), ("watch", "--stack", "mqtt443")],
    ids=lambda arguments: " ".join(arguments[:1]),
)
def test_missing_extra_is_one_line_with_the_remedy(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"mqtt443: a command for AWS needs packages that are not installed: run {EDITABLE}\n"


EDITABLE = f"{sys.executable} -m pip install --editable '{ROOT}[cloud]'"


def test_checkout_installs_the_extra_from_its_folder() -> None:
    assert install_command("cloud") == EDITABLE


def test_wheel_installs_the_requirements_of_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "CHECKOUT", None)
    command = install_command("cloud")
    assert command.startswith(f"{sys.executable} -m pip install ")
    assert "'boto3>=" in command
    assert "'awsiotsdk>=" in command
    assert "mqtt443" not in command.removeprefix(sys.executable), "nothing of that name is on a package index"
    assert "pytest" not in command


def test_pipx_injects_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pipx_metadata.json").touch()
    monkeypatch.setattr(extras, "CHECKOUT", None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert install_command("cloud").startswith("pipx inject mqtt443 ")


def test_extras_are_the_cloud_the_load_and_the_tests() -> None:
    named = {line.rpartition("extra == ")[2].strip("\"'") for line in requires("mqtt443") or () if "extra" in line}
    assert named == {"cloud", "load", "test"}


@pytest.mark.parametrize("arguments", [("--help",), ("config", "schema"), ("device", "list"), ("flash", "--help")])
def test_other_commands_work_without_it(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_check_runs_without_it() -> None:
    done = run("check", "--config", "config.example.json")
    assert done.stdout.startswith("failed  config")
    assert "ca: there is no file" in done.stdout
    assert done.returncode == 1
