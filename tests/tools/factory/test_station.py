"""`mqtt443 factory run`: boards come and go on several ports, and every device of the table ends on one of them."""

from __future__ import annotations

import csv
import dataclasses
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.device.backends import LocalBackend
from mqtt443_tools.factory import station
from mqtt443_tools.push import board_tree
from mqtt443_tools.support.errors import CommandError
from typer.testing import CliRunner, Result

from tests.support.board import interpreters
from tests.support.chip.esp_image import image
from tests.support.chip.rom import Faults
from tests.support.chip.rom_chip import ESP32, ChipModel
from tests.support.chip.whole_board import WholeBoard
from tests.support.mqtt.endpoint import RunningCore

MAC_LOW = 0x3FF5A004
WIFI = {"ssid": "home", "password": "correct horse"}
WAIT_S = 30.0


def chip(number: int) -> ChipModel:
    """An ESP32 with a MAC of its own."""
    return dataclasses.replace(ESP32, registers={**ESP32.registers, MAC_LOW: 0xC4000000 + number})


def mac(number: int) -> str:
    return f"24:0a:c4:00:00:{number:02x}"


class Worker:
    """A person at one port: takes the next board from the pile, and pulls it when the station says so."""

    def __init__(self, port: Path, pile: deque[int], plug: Callable[[int, Path], WholeBoard]) -> None:
        self.port, self._pile, self._plug = port, pile, plug
        self._unplug = threading.Event()
        self._over = threading.Event()
        self.board: WholeBoard | None = None
        self.errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def hears(self, line: str) -> None:
        if line.startswith(f"{self.port}: ") and "unplug it" in line:
            self._unplug.set()

    def stop(self) -> None:
        self._over.set()
        self._unplug.set()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._over.is_set() and self._pile:
                self._unplug.clear()
                with self._plug(self._pile.popleft(), self.port):
                    while not self._unplug.wait(0.1) and self.port.exists():
                        pass
                if not self._unplug.is_set():
                    self._unplug.wait(WAIT_S)  # the cable was pulled: the station has yet to say so
        except BaseException as error:
            self.errors.append(error)


@pytest.fixture
def factory(core: RunningCore, tmp_path: Path) -> Callable[..., Result]:
    """Run the command on a table of devices b1, b2, ..."""
    (tmp_path / "image.bin").write_bytes(image(ESP32))
    (tmp_path / "config.json").write_text(json.dumps({"wifi": WIFI, "interval_s": 3600}))

    def factory(devices: int, ports: list[Path], *arguments: str) -> Result:
        table = tmp_path / "devices.csv"
        table.write_text("client_id\n" + "".join(f"b{number}\n" for number in range(1, devices + 1)))
        files = ["--image", str(tmp_path / "image.bin"), "--config", str(tmp_path / "config.json")]
        where = [option for port in ports for option in ("--port", str(port))]
        command = ["factory", "run", str(table), *files, *where, "--state", str(core.state), *arguments]
        return CliRunner().invoke(app, command)

    return factory


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Path]]]:
    """Put workers with a pile of boards at so many ports."""
    at: list[Worker] = []
    said = station.Station._say

    def say(self: Any, port: str, line: str, style: str = "") -> None:
        said(self, port, line, style)
        for worker in at:
            worker.hears(f"{port}: {line}")

    monkeypatch.setattr(station.Station, "_say", say)

    def workers(ports: int, boards: list[int], plug: Callable[[int, Path], WholeBoard]) -> list[Path]:
        pile = deque(boards)
        at.extend(Worker(tmp_path / f"port{number}", pile, plug) for number in range(ports))
        return [worker.port for worker in at]

    yield workers
    for worker in at:
        worker.stop()
    assert [worker.errors for worker in at] == [[]] * len(at)


def entries(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "devices-record.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.timeout(400)
def test_twenty_boards_on_four_ports_with_a_pulled_cable_and_a_dead_board(
    factory: Any, workers: Any, core: RunningCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled, dead = 5, 9
    lives = dict.fromkeys(range(1, 21), 0)
    programs: list[bool] = []
    program = board_tree.program

    def counted(**options: Any) -> Any:
        programs.append(True)
        return program(**options)

    monkeypatch.setattr(board_tree, "program", counted)

    def plug(number: int, port: Path) -> WholeBoard:
        lives[number] += 1
        faults = Faults(unplug_after=100_000) if number == pulled and lives[number] == 1 else None
        folder = tmp_path / f"board{number}-{lives[number]}"
        interpreter = interpreters.need("stock")
        return WholeBoard(folder, interpreter, chip=chip(number), at=port, faults=faults, dead=number == dead)

    # The board whose cable was pulled comes again, last of all.
    ports = workers(4, [*range(1, 21), pulled], plug)
    result = factory(19, ports, "--labels", str(tmp_path / "labels"), "--timeout", "25", "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    done = json.loads(result.stdout)
    assert (done["done"], done["failed_attempts"]) == (19, 2)

    recorded = entries(tmp_path)
    ok = {entry["client_id"]: entry["mac"] for entry in recorded if entry["result"] == "ok"}
    assert set(ok) == {f"b{number}" for number in range(1, 20)}
    assert set(ok.values()) == {mac(number) for number in range(1, 21) if number != dead}
    failed = {entry["mac"]: entry["detail"] for entry in recorded if entry["result"] == "failed"}
    assert failed.keys() == {mac(pulled), mac(dead)}
    assert "no telemetry within 25 s" in failed[mac(dead)]

    assert {message.client_id for message in core.messages} == set(ok)
    assert {path.name for path in (tmp_path / "labels").iterdir() if path.suffix == ".svg"} == {
        f"{client_id}.svg" for client_id in ok
    }
    assert mac(1) in "".join(path.read_text() for path in (tmp_path / "labels").glob("*.svg"))
    assert programs == [True], "the package is compiled once, not once a board"
    assert "correct horse" not in result.output


def test_stopped_run_resumes_where_it_was(factory: Any, workers: Any, core: RunningCore, tmp_path: Path) -> None:
    def plug(number: int, port: Path) -> WholeBoard:
        return WholeBoard(tmp_path / f"board{number}", interpreters.need("stock"), chip=chip(number), at=port)

    # As after a power cut: b1 is done, b2 was begun, and the last line is torn.
    begun = (
        "time,client_id,mac,port,result,detail\n"
        f"2026-11-27T12:00:00Z,b1,{mac(1)},/dev/ttyUSB0,ok,\n"
        f"2026-11-27T12:00:01Z,b2,{mac(2)},/dev/ttyUSB0,started,\n"
        "2026-11-27T12:00:0"
    )
    (tmp_path / "devices-record.csv").write_text(begun)
    for client_id in ("b1", "b2"):
        core.add_device(client_id)
    before = LocalBackend(core.state).store.by_client_id("b1")
    ports = workers(1, [1, 2, 3], plug)
    result = factory(3, ports)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "1 of 3 devices are done already" in result.stdout
    assert f"{mac(1)} is b1 already: unplug it" in result.stdout
    assert {entry["client_id"] for entry in entries(tmp_path) if entry["result"] == "ok"} == {"b1", "b2", "b3"}
    assert LocalBackend(core.state).store.by_client_id("b1") == before


def test_device_of_someone_else_is_not_touched(factory: Any, core: RunningCore, tmp_path: Path) -> None:
    core.add_device("b2")
    result = factory(2, [tmp_path / "port"])
    assert isinstance(result.exception, CommandError)
    assert "b2 is registered already, and not by this record" in str(result.exception)


def test_table_that_is_done_needs_no_board(factory: Any, core: RunningCore, tmp_path: Path) -> None:
    record = f"time,client_id,mac,port,result,detail\n2026-11-27T12:00:00Z,b1,{mac(1)},p,ok,\n"
    (tmp_path / "devices-record.csv").write_text(record)
    core.add_device("b1")
    result = factory(1, [tmp_path / "port"])
    assert (result.exit_code, result.exception) == (0, None)


def test_label_that_cannot_be_printed_fails_the_board(
    factory: Any, workers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plug(number: int, port: Path) -> WholeBoard:
        return WholeBoard(tmp_path / f"board{number}", interpreters.need("stock"), chip=chip(number), at=port)

    printer = tmp_path / "print"
    printer.write_text('#!/bin/sh\n[ -e "$0.ok" ] && cp "$1" "$0.ed" && exit\ntouch "$0.ok"; exit 1\n')
    printer.chmod(0o755)
    ports = workers(1, [1, 2], plug)
    result = factory(1, ports, "--print", str(printer))
    assert result.exit_code == 0, (result.output, result.exception)
    assert "the label of b1 was not made" in next(e["detail"] for e in entries(tmp_path) if e["result"] == "failed")
    assert "b1" in (tmp_path / "print.ed").read_text()


@pytest.mark.parametrize("content", [Path(__file__).read_bytes(), b"x" * 200_000 + b"\n"], ids=["code", "long cell"])
def test_unrelated_file_is_not_read_as_a_record(factory: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "devices-record.csv").write_bytes(content)
    result = factory(1, [tmp_path / "port"])
    assert isinstance(result.exception, CommandError)
    assert "not the record of a factory run" in str(result.exception)
