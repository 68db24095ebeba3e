"""Bundles run on real MicroPython, and a table of devices becomes bundles, registrations and labels."""

import json
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.factory import batch
from mqtt443_tools.factory.batch import read_rows
from mqtt443_tools.flash.image import littlefs_blocks
from mqtt443_tools.push import bundle
from mqtt443_tools.support.errors import CommandError, UsageError

from tests.support.board import interpreters
from tests.support.chip.repl import BLOCK_BYTES, BLOCKS, SerialBoard, files_of
from tests.support.mqtt.endpoint import RunningCore
from tests.tools.push.conftest import SECRET, PlugBoard, Push


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], str]:
    def table(text: str) -> str:
        (tmp_path / "devices.csv").write_text(text)
        return str(tmp_path / "devices.csv")

    return table


@pytest.mark.parametrize("name", ["alpn", "stock-1.25"])
def test_board_made_from_a_bundle_sends_telemetry(push: Push, tmp_path: Path, name: str) -> None:
    with RunningCore(tmp_path / "state") as core:
        password = core.add_device("b1")
        keys = {"endpoint": "localhost", "port": core.port, "ca": "ca.pem", "client_id": "b1", "username": "b1"}
        (tmp_path / "config.json").write_text(json.dumps({**keys, "password": password}))
        shutil.copy(core.ca, tmp_path / "ca.pem")
        path = tmp_path / "b1.bin"
        output = push(None, "--bundle", str(path), "--blocks", str(BLOCKS), path=tmp_path / "config.json")
        assert password not in output
        (tmp_path / "board").mkdir()
        with SerialBoard(tmp_path / "board", interpreters.need(name), image=path.read_bytes()):
            assert core.next_message().topic == "telemetry/b1"


def test_bundle_holds_what_push_would_send(board: PlugBoard, push: Push, tmp_path: Path) -> None:
    push(None, "--bundle", str(tmp_path / "b.bin"), "--blocks", str(BLOCKS))
    plugged = board(image=(tmp_path / "b.bin").read_bytes())
    output = push(plugged)
    assert "0 to send" in output
    assert stat.S_IMODE((tmp_path / "b.bin").stat().st_mode) == 0o600


def test_bundle_is_accepted_by_flash(push: Push, tmp_path: Path) -> None:
    push(None, "--bundle", str(tmp_path / "b.bin"))
    data = (tmp_path / "b.bin").read_bytes()
    assert littlefs_blocks(data) == bundle.DEFAULT_BLOCKS
    assert len(data) == bundle.DEFAULT_BLOCKS * BLOCK_BYTES


def test_bundle_that_is_too_small_says_so(push: Push, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="do not fit into 16 blocks"):
        push(None, "--bundle", str(tmp_path / "b.bin"), "--blocks", "16")
    assert not (tmp_path / "b.bin").exists()


def test_table_becomes_devices_bundles_and_labels(push: Push, table: Callable[[str], str], tmp_path: Path) -> None:
    text = "client_id,username,publish\ns1,,\ns<2>,user2,alerts/s2 more/s2\n"
    arguments = ["--csv", table(text), "--bundle", str(tmp_path / "out"), "--state", str(tmp_path / "state")]
    assert "2 devices registered, 0 already were" in push(None, *arguments)
    store = SqliteStore(tmp_path / "state" / "devices.sqlite")
    passwords = []
    for client_id, username in (("s1", "s1"), ("s<2>", "user2")):
        image = (tmp_path / "out" / f"{client_id}.bin").read_bytes()
        config = json.loads(files_of(image)["config.json"])
        assert (config["client_id"], config["username"]) == (client_id, username)
        passwords.append(config["password"])
        device = store.by_client_id(client_id)
        assert device is not None
        assert device.username == username
        published = device.publish
    assert published == ("alerts/s2", "more/s2")  # those of s<2>
    assert SECRET not in passwords
    assert len({*passwords}) == 2
    labels = (tmp_path / "out" / "labels.html").read_text()
    assert re.findall(r"<figcaption>(.*)</figcaption>", labels) == ["s1", "s&lt;2&gt;"]
    assert labels.count("<svg") == 2
    assert not any(password in labels for password in passwords)
    assert "0 devices registered, 2 already were" in push(None, *arguments)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name\nx\n", "the first line must name the columns"),
        ("client_id,color\nx,red\n", "the first line must name the columns"),
        ("client_id\na/b\n", "line 2"),
        ("client_id\na\n\nb\na\n", "the client_id a occurs twice"),
        ("client_id,username\na,u\nb,u\n", "the username u occurs twice"),
        ("client_id,publish\na,x/#\n", "line 2"),
        ("client_id\na,b\n", "line 2: more cells than columns; put a cell that has a comma in quotes"),
        ("client_id;username\na;b\n", "line 1: the cells are separated by semicolons; save the table with commas"),
        ("client_id\tusername\na\tb\n", "line 1: the cells are separated by tabs; save the table with commas"),
        ("client_id,\na,\n", "line 1: a column without a name, or a comma too many"),
        ("client_id,username\na,b,\n", "line 2: a comma too many at the end; delete it"),
        ("client_id,username\na,b\n,\n", "line 3: the row is empty; delete it"),
        ("client_id,client_id\na,b\n", "line 1: the first line must name the columns: .*, each once"),
        ("", "line 1: the first line must name the columns"),
        ('client_id\n"a\n', "unexpected end of data"),
    ],
)
def test_table_with_a_mistake_registers_no_device(
    push: Push, table: Callable[[str], str], tmp_path: Path, text: str, line: str
) -> None:
    arguments = ["--csv", table(text), "--bundle", str(tmp_path / "out"), "--state", str(tmp_path / "state")]
    with pytest.raises(UsageError, match=line):
        push(None, *arguments)
    assert not (tmp_path / "state" / "devices.sqlite").exists()


def test_table_with_many_mistakes_names_each_line(table: Callable[[str], str]) -> None:
    path = table("client_id,username\na/b,\nc,\nc,u\n,\nd,?\n")
    with pytest.raises(UsageError) as refusal:
        read_rows(Path(path))
    found = re.findall(r"line (\d): ", str(refusal.value))
    assert found == ["2", "4", "5", "6"]
    with pytest.raises(UsageError, match=r"line 11: [^;]+; and 15 more$"):
        read_rows(Path(table("client_id\n" + "a/b\n" * 25)))


def test_large_table_is_refused_whole(table: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_BYTES", 1000)
    whole = "client_id\n" + "".join(f"device-{number:04}\n" for number in range(82))
    assert len(whole) == 994
    assert len(read_rows(Path(table(whole)))) == 82
    with pytest.raises(UsageError, match=r"devices\.csv: larger than 1,000 bytes"):
        read_rows(Path(table(whole + "device-more\n")))


def test_device_whose_bundle_fails_is_not_registered(push: Push, table: Callable[[str], str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    arguments = ["--csv", table("client_id\na\n"), "--bundle", str(tmp_path / "out"), "--state", str(state)]
    with pytest.raises(CommandError, match="do not fit"):
        push(None, *arguments, "--blocks", "16")
    assert SqliteStore(state / "devices.sqlite").all() == []


def test_registered_device_without_a_bundle_stops_all(push: Push, table: Callable[[str], str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    arguments = ["--csv", table("client_id\na\nb\n"), "--bundle", str(tmp_path / "out"), "--state", str(state)]
    push(None, *arguments)
    (tmp_path / "out" / "b.bin").unlink()
    with pytest.raises(CommandError, match="mqtt443 device remove b"):
        push(None, *arguments)
