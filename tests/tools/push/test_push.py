"""`mqtt443 push` with real mpremote onto real MicroPython and littlefs: what arrives, what is asked, what runs."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mqtt443 import __version__
from mqtt443_tools.push import serial_repl
from mqtt443_tools.support.amazon_roots import amazon_roots
from mqtt443_tools.support.compile_mpy import HOST_ONLY
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.paths import ROOT, UMQTT

from tests.support.chip.repl import SerialBoard, filesystem
from tests.support.golden import check_golden
from tests.support.mqtt.endpoint import RunningCore
from tests.tools.push.conftest import OLD_MAIN, RECORD, PlugBoard, Push

GOLDEN = Path(__file__).parent / "golden"
MODULES = {path.stem for path in (ROOT / "firmware" / "mqtt443").glob("*.py") if path.name not in HOST_ONLY}
PACKAGE = {f"lib/mqtt443/{name}.mpy" for name in MODULES}


def shown(output: str) -> str:
    """The output without what changes with each version of the device package and each machine."""
    output = re.sub(r"port \S+", "port PORT", output)
    output = re.sub(r"MicroPython [\d.]+ on linux \[.*", "MicroPython VERSION on MACHINE", output)
    output = re.sub(r"( +)[\d,]+ B", r" N B", output)
    output = re.sub(r"\([\d,]+ B\)", "(N B)", output)
    output = re.sub(r"\b\d+ (to send|unchanged)", r"N \1", output)
    return re.sub(r"(  (?:new|changed) +lib/mqtt443/)\S+ N B\n(?:  .* +lib/mqtt443/.*\n)+", r"\1... N B\n", output)


def golden(name: str, output: str) -> None:
    check_golden(GOLDEN / name, shown(output))


@pytest.mark.parametrize("name", ["alpn", "stock-1.25"])
def test_pushed_board_sends_telemetry(board: PlugBoard, push: Push, tmp_path: Path, name: str) -> None:
    with RunningCore(tmp_path / "state") as core:
        password = core.add_device("b1")
        keys = {"endpoint": "localhost", "port": core.port, "ca": "ca.pem", "client_id": "b1", "username": "b1"}
        (tmp_path / "config.json").write_text(json.dumps({**keys, "password": password, "interval_s": 1}))
        shutil.copy(core.ca, tmp_path / "ca.pem")
        (tmp_path / "sensors.py").write_text("def read():\n    return {'door': 'open'}\n")
        output = push(board(name), path=tmp_path / "config.json")
        assert password not in output
        message = core.next_message()
    assert message.topic == "telemetry/b1"
    assert json.loads(message.payload)["door"] == "open"


def test_push_ends_a_trial_and_makes_its_slot_the_one_that_runs(board: PlugBoard, push: Push, config: Path) -> None:
    left = dict.fromkeys(("update/job", "update/job.old", "config.json.trial"), b"{}")
    plugged = board(files={"slot": b"b 1 ", "slot_b/mqtt443/__init__.py": b"", **left})
    push(plugged)
    plugged.unplug()
    kept = plugged.files()
    assert {"slot", *left}.isdisjoint(kept)
    assert set(kept) >= PACKAGE
    # A second push, with nothing else to send, does the same.
    again = board(files={**kept, "slot": b"b - "})
    push(again)
    again.unplug()
    assert "slot" not in again.files()


def test_push_sends_and_lists_all_files(board: PlugBoard, push: Push, config: Path) -> None:
    plugged = board()
    golden("push.txt", push(plugged))
    plugged.unplug()
    files = plugged.files()
    assert set(files) == {"boot.py", "main.py", "ca.der", "config.json", "push.json", *PACKAGE}
    assert files["main.py"] == (ROOT / "main.py").read_bytes()
    assert files["config.json"] == config.read_bytes()
    assert files["ca.der"] == amazon_roots()


def test_repeated_push_sends_nothing_and_restarts_the_board(board: PlugBoard, push: Push) -> None:
    plugged = board()
    push(plugged)
    plugged.wait_for("transport alpn")
    began = len(plugged.said)
    golden("again.txt", push(plugged))
    plugged.wait_for(rf"(?s).{{{began}}}.*transport alpn")


def test_only_changed_files_are_sent(board: PlugBoard, push: Push, config: Path) -> None:
    plugged = board()
    push(plugged)
    (config.parent / "sensors.py").write_text("def read():\n    return {}\n")
    done = json.loads(push(plugged, "--json"))
    assert (done["sent"], done["removed"], done["same"]) == (["sensors.py"], [], len(PACKAGE) + 5)


def test_file_names_of_a_board_are_shown_with_escapes(board: PlugBoard, push: Push) -> None:
    output = push(board(files={"main.py": OLD_MAIN, "push.json": RECORD, "lib/mqtt443/\x1b[2J\x07x.py": b""}))
    assert "lib/mqtt443/\\x1b[2J\\x07x.py" in output
    assert not {"\x1b", "\x07"} & set(output)


def test_dry_run_changes_nothing(board: PlugBoard, push: Push) -> None:
    plugged = board()
    before = plugged.files()
    golden("dry-run.txt", push(plugged, "--dry-run"))
    plugged.wait_for("(?s)old main.*old main")  # it was started again
    plugged.unplug()
    assert plugged.files() == before


@pytest.mark.parametrize(("first", "second", "ending"), [("--source", None, ".mpy"), (None, "--source", ".py")])
def test_modules_of_the_other_kind_are_removed(
    board: PlugBoard, push: Push, first: str | None, second: str | None, ending: str
) -> None:
    plugged = board()
    for how in (first, second):
        push(plugged, *([how] if how else []))
    plugged.unplug()
    modules = [name for name in plugged.files() if name.startswith("lib/")]
    assert {Path(name).suffix for name in modules} == {ending}
    assert len(modules) == len(MODULES)


def test_modules_of_an_older_version_are_removed_and_other_files_kept(board: PlugBoard, push: Push) -> None:
    files = {"main.py": b"", "lib/mqtt443/gone.mpy": b"x", "lib/other.py": b"y", "notes.txt": b"z"}
    plugged = board(files=files)
    plugged.wait_for(">>> ")
    assert "remove  lib/mqtt443/gone.mpy" in push(plugged)
    plugged.unplug()
    left = plugged.files()
    assert "lib/mqtt443/gone.mpy" not in left
    assert (left["lib/other.py"], left["notes.txt"]) == (b"y", b"z")


def test_no_start_leaves_the_board_at_its_prompt(board: PlugBoard, push: Push) -> None:
    plugged = board()
    assert "main.py runs after the next reset" in push(plugged, "--no-start")
    plugged.wait_for(r"(?s)REPL.*>>> $")
    assert b"transport" not in plugged.said


def test_program_that_catches_interrupts_is_stopped(
    board: PlugBoard, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_repl, "PATIENCE_S", (0.5,) * 4)
    monkeypatch.setattr(serial_repl, "READ_S", 0.5)
    deaf = b"import time\nfor i in range(3):\n  try:\n    print('deaf', i)\n    while True: time.sleep(0.05)\n"
    plugged = board(files={"main.py": deaf + b"  except KeyboardInterrupt: pass\n"})
    plugged.wait_for("deaf 0")
    push(plugged, "--yes")
    assert b"deaf 2" in plugged.said


def test_program_that_never_stops_is_reported_with_the_way_out(
    board: PlugBoard, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_repl, "PATIENCE_S", (0.2,) * 4)
    monkeypatch.setattr(serial_repl, "READ_S", 0.2)
    deaf = b"import time\nwhile True:\n  try:\n    print('deaf')\n    while True: time.sleep(0.05)\n"
    plugged = board(files={"main.py": deaf + b"  except KeyboardInterrupt: pass\n"})
    plugged.wait_for("deaf")
    with pytest.raises(serial_repl.LinkError, match="press its RESET button and push again"):
        push(plugged)


def test_endless_boot_is_interrupted(board: PlugBoard, push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_repl, "PATIENCE_S", (1, 1, 1))
    monkeypatch.setattr(serial_repl, "READ_S", 0.5)
    plugged = board(files={"boot.py": b"import time\nprint('boots')\nwhile True: time.sleep(0.05)\n", "main.py": b""})
    plugged.wait_for("boots")
    push(plugged, "--yes")
    plugged.wait_for("transport alpn")


def test_board_with_the_package_in_its_image_gets_the_rest(board: PlugBoard, push: Push, tmp_path: Path) -> None:
    frozen = tmp_path / "frozen"
    shutil.copytree(ROOT / "firmware" / "mqtt443", frozen / "mqtt443")
    plugged = board(built_in=[UMQTT, frozen])
    output = push(plugged)
    assert f"its image has mqtt443 {__version__} built in" in output
    plugged.unplug()
    assert not any(name.startswith("lib") for name in plugged.files())


def test_board_without_umqtt_gets_the_command_to_install_it(board: PlugBoard, push: Push) -> None:
    plugged = board(built_in=[])
    with pytest.raises(CommandError, match="mpremote mip install umqtt"):
        push(plugged)
    plugged.wait_for("(?s)old main.*old main")


def test_full_board_keeps_its_files(board: PlugBoard, push: Push) -> None:
    files = {"main.py": b"", "big.bin": os.urandom(950_000)}
    plugged = board(files=files)
    plugged.wait_for(">>> ")
    with pytest.raises(CommandError, match="beside the old ones, and the board has"):
        push(plugged)
    plugged.unplug()
    assert plugged.files() == files


@pytest.mark.parametrize("name", ["main.py", "boot.py"])
def test_foreign_program_is_not_overwritten_without_asking(board: PlugBoard, push: Push, name: str) -> None:
    files = {"main.py": b"", name: b"# mine\nprint('mine')\n"}
    plugged = board(files=files)
    plugged.wait_for("mine")
    with pytest.raises(UsageError, match=f"the board's {name} is a program that push did not send; .* add --yes"):
        push(plugged)
    assert f"push would ask first: the board's {name} is a program" in push(plugged, "--dry-run")
    plugged.unplug()
    assert plugged.files() == files
    plugged.plug()
    push(plugged, "--yes")
    plugged.unplug()
    assert plugged.files()[name] == (ROOT / name).read_bytes()


def test_empty_programs_and_those_of_an_earlier_push_are_overwritten(board: PlugBoard, push: Push) -> None:
    stock = b"# This file is executed on every boot (including wake-boot from deepsleep)\n#import webrepl\n\n"
    plugged = board(files={"boot.py": stock, "main.py": b"print('older')\n", "push.json": b'{"config_sha256": "0"}'})
    plugged.wait_for("older")
    push(plugged)
    plugged.unplug()
    assert json.loads(plugged.files()["push.json"])["programs"] == {
        name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in ("boot.py", "main.py")
    }


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("lib", "the board has a file lib where a folder must be: rename it, or delete it with `mpremote rm :lib`"),
        ("lib/mqtt443", "the board has a file lib/mqtt443 where a folder must be"),
        ("main.py/x", "the board has a folder main.py where a file must be: .* `mpremote rm -r :main.py`"),
        ("mqtt443.py", "mqtt443.py at the board's root hides the package in /lib: rename it, or delete it with"),
        ("mqtt443/__init__.py", "mqtt443 at the board's root hides the package in /lib"),
    ],
)
def test_file_in_the_way_is_named_and_nothing_is_sent(board: PlugBoard, push: Push, name: str, line: str) -> None:
    files = {"boot.py": b"", name: b"x = 1\n"}
    plugged = board(files=files)
    plugged.wait_for(">>> ")
    with pytest.raises(CommandError, match=line):
        push(plugged)
    plugged.unplug()
    assert plugged.files() == files


def change_on_the_board(plugged: SerialBoard, push: Push, config: Path) -> str:
    plugged.unplug()
    with_own = {**plugged.files(), "config.json": b'{"endpoint": "a", "client_id": "b2"}', "main.py": b""}
    plugged.flash.write_bytes(filesystem(with_own))
    plugged.plug()
    return "was not sent by push, or was changed on the board since"


def send_an_older_one(plugged: SerialBoard, push: Push, config: Path) -> str:
    config.write_text(config.read_text().replace("b1", "b0"))
    os.utime(config, (1_700_000_000, 1_700_000_000))
    return "yours from 2023-11-14 22:13 UTC"


@pytest.mark.parametrize("change", [change_on_the_board, send_an_older_one])
def test_config_that_may_be_newer_is_not_overwritten_without_asking(
    board: PlugBoard,
    push: Push,
    config: Path,
    change: Callable[[SerialBoard, Push, Path], str],
) -> None:
    plugged = board()
    push(plugged)
    why = change(plugged, push, config)
    with pytest.raises(UsageError, match="add --yes") as raised:
        push(plugged)
    assert why in str(raised.value)
    assert f"push would ask first: {raised.value.args[0].split('; to')[0]}" in push(plugged, "--dry-run")
    push(plugged, "--yes")
    plugged.unplug()
    assert plugged.files()["config.json"] == config.read_bytes()


def test_newer_config_is_sent_without_a_question(board: PlugBoard, push: Push, config: Path) -> None:
    plugged = board()
    push(plugged)
    config.write_text(config.read_text().replace("b1", "b0"))
    done = json.loads(push(plugged, "--json"))
    assert done["sent"] == ["config.json", "push.json"]
