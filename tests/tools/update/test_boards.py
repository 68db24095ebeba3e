"""Which boards an update is for, and which files it may send: mistakes are found before a job exists."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from mqtt443.bundle import may_write
from mqtt443_authorizer.memorystore import MemoryStore
from mqtt443_tools.device import registration
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.paths import FIRMWARE, ROOT
from mqtt443_tools.update.boards import choose_devices, files_update, sensors_update

from tests.updates.test_files import FORBIDDEN


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "x.py").write_text("X = 1\n")
    return str(tmp_path / "x.py")


@pytest.mark.parametrize("path", FORBIDDEN)
def test_host_refuses_each_path_that_boards_refuse(source: str, path: str) -> None:
    with pytest.raises(UsageError) as deleted:
        files_update([], [path])
    if path:  # otherwise the name of the file
        with pytest.raises(UsageError) as sent:
            files_update([source if ":" in path else f"{source}:{path}"], [path] if ":" in path else [])
        assert str(sent.value) == str(deleted.value)
    assert len(str(deleted.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("boot.py", "boot.py: never replaced over the air; send it with `mqtt443 push`"),
        ("main.py", "main.py: never replaced over the air; send it with `mqtt443 push`"),
        ("config.json", "config.json: change its keys with --config"),
        ("lib/mqtt443/app.py", "lib/mqtt443/app.py: the package of mqtt443; send it with --package"),
        ("json.py", "json.py: the board needs what has this name; choose another"),
        ("lib", "lib: the board needs what has this name; choose another"),
        ("outbox", "outbox: the board needs what has this name; choose another"),
        (
            "a b",
            "'a b': not a path on a board; it is relative, in printable ASCII without spaces, such as lib/bme280.py",
        ),
        ("\udcff", "'\\udcff': not a path on a board"),
        ("", "'': not a path on a board"),
    ],
)
def test_message_says_what_to_do_instead(path: str, advice: str) -> None:
    with pytest.raises(UsageError) as refused:
        files_update([], [path])
    assert str(refused.value).startswith(advice)


@pytest.mark.parametrize("path", ["sensors.py", "lib/bme280.py", "lib/a/b.mpy", "ca.pem", "lib/x/json.py", "timer.py"])
def test_other_files_may_be_sent_and_deleted(source: str, path: str) -> None:
    assert files_update([f"{source}:{path}"], []).bundle
    assert files_update([], [path]).summary == f"files: {path} (deleted)"


def test_module_that_the_program_imports_cannot_be_hidden() -> None:
    imported = set()
    for path in (*FIRMWARE.glob("*.py"), ROOT / "boot.py", ROOT / "main.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).partition(".")[0])
    only_on_the_host = {"__future__", "sensors"}
    assert {name for name in imported - only_on_the_host if may_write(f"{name}.py")} == set()


def test_two_options_for_one_path_are_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.py is both sent and deleted"):
        files_update([source], ["x.py"])
    with pytest.raises(UsageError, match=r"lib/a\.py is sent twice"):
        files_update([f"{source}:lib/a.py", f"{source}:lib/a.py"], [])
    with pytest.raises(UsageError, match=r"--file :x\.py: name a file"):
        files_update([":x.py"], [])


def test_folder_with_a_file_that_boards_refuse_names_it(tmp_path: Path) -> None:
    (tmp_path / "sensors.py").write_text("def read():\n    return {}\n")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "time.py").write_text("")
    with pytest.raises(CommandError, match=r"lib/time\.py: the board needs what has this name"):
        sensors_update(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"client_id;username\nhall-1;x\n", "the cells are separated by semicolons; save the table with commas"),
        (b"hall-1;x\n", "the cells are separated by semicolons"),
        (b"client_id\tusername\nhall-1\tx\n", "the cells are separated by tabs"),
        (b"client_id\n", "no client ids in its first column"),
        (b"", "no client ids in its first column"),
        (b"\xff\xfe", "not UTF-8"),
        (b"hall-1\nhall-8\nhall-9\n", "hall-8 and 1 more: not registered"),
        (b"a" * 200_000, "line 1: field larger than field limit"),
        (b'hall-1\n"hall-2', "line 2: unexpected end of data"),
    ],
)
def test_group_with_a_mistake_names_the_file(tmp_path: Path, content: bytes, message: str) -> None:
    store = MemoryStore()
    registration.add_device(store, "hall-1", now=0)
    path = tmp_path / "group.csv"
    path.write_bytes(content)
    with pytest.raises(CommandError) as refused:
        choose_devices(store, (), all_devices=False, group=path)
    assert str(refused.value).startswith(f"{path}: {message}")


def test_group_may_have_a_header_a_byte_order_mark_and_empty_lines(tmp_path: Path) -> None:
    store = MemoryStore()
    registration.add_device(store, "hall-1", now=0)
    path = tmp_path / "group.csv"
    path.write_bytes("\ufeffclient_id,username\r\n\r\nhall-1,x\r\n".encode())
    assert choose_devices(store, (), all_devices=False, group=path) == ["hall-1"]
