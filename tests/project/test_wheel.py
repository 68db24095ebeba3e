"""The wheel: built from the sources, installed elsewhere, every command run from an empty folder.

On the Python that runs the tests the wheel is installed alone, beside the dependencies that are here. On the newest
other Python of this machine it is installed as a user does it, with its dependencies from the package index.
"""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import typer.main
from mqtt443_tools import cli
from mqtt443_tools.micropython.recipes import OUTPUT
from mqtt443_tools.micropython.recipes import find as find_interpreter
from mqtt443_tools.support.paths import ROOT, UMQTT

BUILD_S, INSTALL_S, WAIT_S = 120, 600, 60
pytestmark = pytest.mark.timeout(BUILD_S + INSTALL_S)  # the first test of a fixture installs
SOURCES = ("firmware", "authorizer", "tools", "docs", "boot.py", "main.py", "config.example.json")
PROJECT = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
OLDEST = (3, 11)


@functools.cache
def newest_python() -> str | None:
    """Return the newest Python of this machine that is newer than the one running, None if there is none."""
    folders = [*map(Path, os.get_exec_path()), *Path.home().glob(".pyenv/versions/*/bin")]
    found = {}
    for program in {path for folder in folders for path in folder.glob("python3.[0-9]*")}:
        if re.fullmatch(r"python3\.\d+", program.name):
            ask = [str(program), "-c", "import ensurepip, sys, venv; print(*sys.version_info[:3])"]
            done = subprocess.run(ask, capture_output=True, text=True, timeout=WAIT_S, check=False)
            if done.returncode == 0:
                found[tuple(map(int, done.stdout.split()))] = str(program)
    version, program_name = max(found.items(), default=((0,), None))
    return program_name if version[:2] > sys.version_info[:2] else None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources by the setuptools that is installed here."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, source)
    for name in PROJECT:
        shutil.copy(ROOT / name, source)
    stale = source / "build" / "lib" / "mqtt443_tools" / "deleted.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(out)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(source)]
    subprocess.run(command, check=True, timeout=BUILD_S)
    (built,) = out.iterdir()
    return built


class Installed:
    """A virtual environment with the wheel, and an empty folder to work in."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python = python
        self.folder = folder
        self.cache = folder.parent / "cache"
        self.program = str(python.with_name("mqtt443"))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(self.cache),
            "PYTHONUNBUFFERED": "1",
            "PIP_INDEX_URL": "http://127.0.0.1:9/simple/",  # the discard port: nothing listens
        }

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [self.program, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def fill_cache(self, *, interpreters: bool) -> None:
        """Put into the user's cache what the first use would fetch, or build."""
        (self.cache / "mqtt443").mkdir(parents=True)
        shutil.copytree(UMQTT, self.cache / "mqtt443" / "umqtt")
        if interpreters:
            (self.cache / "mqtt443" / "micropython").symlink_to(OUTPUT)


@pytest.fixture(scope="module", params=["this Python", "newest Python"])
def python(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("venv") / "venv"
    alone = request.param == "this Python"
    base = sys.executable if alone else newest_python()
    if base is None:
        pytest.skip(f"there is no Python newer than {sys.version_info.major}.{sys.version_info.minor} here")
    subprocess.run([base, "-m", "venv", str(folder)], check=True, timeout=BUILD_S)
    python = folder / "bin" / "python"
    options = ["--no-deps", "--no-index"] if alone else []
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options, str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    if done.returncode and not alone and "MQTT443_REQUIRE_MICROPYTHON" not in os.environ:
        pytest.skip(f"pip cannot install the dependencies: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    if alone:
        # The dependencies of these tests, but not their editable install: a .pth file within is not read.
        (packages,) = (folder / "lib").glob("python*/site-packages")
        (ours,) = (path for path in map(Path, sys.path) if path.name == "site-packages")
        (packages / "dependencies.pth").write_text(f"{ours}\n")
    return python


@pytest.fixture
def installed(python: Path, tmp_path: Path) -> Installed:
    (tmp_path / "empty").mkdir()
    return Installed(python, tmp_path / "empty")


def commands() -> Iterator[tuple[str, ...]]:
    """Yield every command of the program, as it is typed."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), typer.main.get_command(cli.app))]
    while waiting:
        typed, command = waiting.pop()
        yield typed
        waiting += [((*typed, name), each) for name, each in getattr(command, "commands", {}).items()]


def test_wheel_brings_three_packages_and_their_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    ours = [name for name in names if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in ours} == {"mqtt443", "mqtt443_authorizer", "mqtt443_tools"}
    assert {path.name for path in (ROOT / "firmware" / "mqtt443").glob("*.*")} == {
        name.removeprefix("mqtt443/") for name in ours if name.startswith("mqtt443/")
    }
    for path in ("boot.py", "main.py", "config.example.json", "docs/config.md", "firmware/image/alpn/alpn.c"):
        assert f"mqtt443_tools/data/{path}" in ours
    assert not [name for name in ours if "umqtt" in name and "fetch" not in name], "others' code"
    assert "mqtt443_tools/deleted.py" not in ours, "left in build/lib by an earlier build"


def test_every_command_shows_its_help(installed: Installed) -> None:
    for typed in commands():
        done = installed.run(*typed, "--help")
        assert (done.returncode, done.stderr) == (0, ""), typed
        assert "Usage" in done.stdout


def test_version_is_that_of_the_board_package(installed: Installed) -> None:
    expected = re.search(r'^VERSION = "(.+)"$', (ROOT / "firmware" / "mqtt443" / "_port.py").read_text(), re.MULTILINE)
    assert expected is not None
    assert installed.run("--version").stdout == f"mqtt443 {expected[1]}\n"


def test_config_is_described_and_shown(installed: Installed) -> None:
    schema = json.loads(installed.run("config", "schema").stdout)
    assert "Wi-Fi" in schema["properties"]["wifi"]["description"]
    assert all(key["description"] for key in schema["properties"].values())
    shutil.copy(ROOT / "config.example.json", installed.folder / "config.json")
    assert installed.run("config", "show").returncode == 0


def test_config_init_without_a_terminal_names_the_example(installed: Installed) -> None:
    done = installed.run("config", "init")
    assert done.returncode == 2
    example = done.stderr.strip().rpartition(" ")[2]
    assert json.loads(Path(example).read_text())


def test_devices_are_registered_changed_and_removed(installed: Installed) -> None:
    assert installed.run("device", "add", "b1", "--out", "config.json").returncode == 0
    for command in ("rotate", "disable", "enable"):
        assert installed.run("device", command, "b1").returncode == 0, command
    assert [each["client_id"] for each in json.loads(installed.run("device", "list", "--json").stdout)] == ["b1"]
    assert installed.run("device", "remove", "b1", "--yes").returncode == 0
    assert "no devices are registered" in installed.run("device", "list").stdout


def test_bundle_holds_the_whole_board(installed: Installed) -> None:
    installed.run("device", "add", "b1", "--out", "config.json")
    for options in ([], ["--source"]):
        done = installed.run("push", "--bundle", "b1.bin", "--json", *options)
        assert done.returncode == 0, done.stderr
        files = json.loads(done.stdout)["files"]
        suffix = "py" if options else "mpy"
        assert {"boot.py", "main.py", "config.json", f"lib/mqtt443/client.{suffix}"} <= set(files)


def test_commands_for_a_port_say_that_there_is_none(installed: Installed) -> None:
    installed.run("device", "add", "b1", "--out", "config.json")
    (installed.folder / "image.bin").write_bytes(b"\xe9" + bytes(100))
    for typed in (["push"], ["monitor"], ["flash", "--image", "image.bin"]):
        done = installed.run(*typed, "--port", "/dev/ttyUSB77")
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("mqtt443: there is no port /dev/ttyUSB77"), typed


def test_zip_is_that_of_the_checkout(installed: Installed, tmp_path: Path) -> None:
    assert installed.run("cloud", "zip", "authorizer.zip").returncode == 0
    program = "import sys; from mqtt443_tools.support.lambda_zip import build; sys.stdout.buffer.write(build())"
    here = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=WAIT_S, cwd=ROOT)
    assert (installed.folder / "authorizer.zip").read_bytes() == here.stdout


def test_command_for_aws_names_what_to_install(installed: Installed) -> None:
    if "dependencies.pth" in {path.name for path in installed.python.parents[1].glob("lib/*/site-packages/*.pth")}:
        pytest.skip("boto3 is among the dependencies of these tests")
    done = installed.run("cloud", "status")
    assert done.returncode == 1
    assert re.fullmatch(
        r"mqtt443: .* not installed: run \S+/bin/python -m pip install 'awsiotsdk>=\S+' 'boto3>=\S+'\n", done.stderr
    )


def test_umqtt_that_cannot_be_fetched_is_one_line(installed: Installed) -> None:
    installed.run("device", "add", "b1", "--out", "config.json")
    done = installed.run("board")
    assert done.returncode == 1
    assert done.stderr.startswith("mqtt443: cannot download micropython-umqtt.simple")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("interpreter", ["cpython", "alpn"])
def test_telemetry_flows_from_an_empty_folder(installed: Installed, interpreter: str) -> None:
    if interpreter != "cpython" and find_interpreter(interpreter) is None:
        pytest.skip("real MicroPython is not built here")
    installed.fill_cache(interpreters=interpreter != "cpython")
    with ExitStack() as stack:

        def start(*arguments: str) -> "subprocess.Popen[str]":
            process = stack.enter_context(installed.start(*arguments))
            stack.callback(process.send_signal, signal.SIGINT)
            return process

        local = start("local", "--port", "0", "--set", "connect_rate_per_s=0")
        assert local.stdout is not None
        ready = re.search(r"port=(\d+)", local.stdout.readline())
        assert ready is not None
        added = installed.run("device", "add", "b1", "--port", ready[1], "--out", "config.json")
        assert added.returncode == 0, added.stderr
        config = installed.folder / "config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "interval_s": 1}))
        checked = installed.run("check", "--no-publish")
        assert checked.returncode == 0, checked.stdout
        start("board", "--interpreter", interpreter)
        watched = installed.run("watch", "--count", "1", "--seconds", "45", "--json")
        assert watched.stdout, watched.stderr
        assert json.loads(watched.stdout.splitlines()[0])["topic"] == "telemetry/b1"
