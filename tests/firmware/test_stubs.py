"""The stubs beside the board's modules: they agree with the code, and an editor learns from them."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import mqtt443
import pytest
from mqtt443 import errors, rare_errors
from mqtt443_tools.support.compile_mpy import compile_package
from mqtt443_tools.support.paths import FIRMWARE, ROOT, UMQTT

from tests.support.board import package as board

ONLY_ON_MICROPYTHON = "mqtt443._port.RESIDENT\n"

SENSORS = """
from typing import Any
import mqtt443

def read() -> dict[str, Any]:
    return {"light": lambda: 42}

@mqtt443.command("relay")
def relay(arguments: dict[str, Any]) -> dict[str, bool]:
    return {"on": bool(arguments["on"])}

def publish(config: mqtt443.Config) -> None:
    client = mqtt443.Client(config)
    try:
        client.connect()
        client.publish("room/1", "on", qos=1)
    except mqtt443.ConnectRefused as error:
        print(error.code, config.topic)
"""


def _run(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=55, check=False,
    )  # fmt: skip


def test_stubs_agree_with_the_code(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text(ONLY_ON_MICROPYTHON)
    done = _run(
        "mypy.stubtest", "mqtt443", "--concise", "--allowlist", str(allowed), "--mypy-config-file", "pyproject.toml",
        folder=ROOT, MYPYPATH=str(FIRMWARE.parent), PYTHONPATH=f"{UMQTT}:{board.SHIMS}",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_stubs_know_every_public_name() -> None:
    tree = ast.parse((FIRMWARE / "__init__.pyi").read_text())
    known = {alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    classes = {name for part in (errors, rare_errors) for name, value in vars(part).items() if isinstance(value, type)}
    assert {*vars(mqtt443)["_PUBLIC"], *classes} == known - {None}


def _check(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    (folder / "sensors.py").write_text(source)
    return _run(
        "mypy", "--strict", "--cache-dir", os.devnull, "sensors.py", folder=folder, MYPYPATH=str(FIRMWARE.parent)
    )


def test_sensors_that_use_the_package_right_pass_a_type_check(tmp_path: Path) -> None:
    done = _check(tmp_path, SENSORS)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('mqtt443.command("relay")', "mqtt443.command(1)"),
        ("mqtt443.ConnectRefused", "mqtt443.ConnectionRefused"),
        ("qos=1", 'qos="1"'),
        ("config.topic", "config.topics"),
        ("arguments: dict[str, Any]", "arguments: int"),
    ],
)
def test_misuse_is_found_before_it_runs_on_a_board(tmp_path: Path, right: str, wrong: str) -> None:
    done = _check(tmp_path, SENSORS.replace(right, wrong))
    assert done.returncode == 1
    assert done.stdout.startswith("sensors.py:")


def test_stubs_stay_on_the_host(tmp_path: Path) -> None:
    compile_package(FIRMWARE, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".mpy"}
