"""`mqtt443 run`: from a chip without a program to telemetry at the local endpoint, and what it asks on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.push.board_radio import Network
from mqtt443_tools.run.networks import choose_wifi
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError, UsageError
from typer.testing import CliRunner, Result

from tests.support.board import interpreters
from tests.support.chip.esp_image import image
from tests.support.chip.rom_chip import ESP32
from tests.support.chip.whole_board import WholeBoard
from tests.support.mqtt.endpoint import RunningCore

ALIAS = "127.0.0.2"
WIFI_PASSWORD = "correct horse"
WORLD = {"wifi_ssid": "home", "wifi_password": WIFI_PASSWORD}


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[RunningCore]:
    """A local endpoint that boards can reach."""
    with RunningCore(tmp_path / "state", name=ALIAS, bind=ALIAS) as core:
        yield core


@pytest.fixture
def plug(tmp_path: Path) -> Iterator[Callable[..., WholeBoard]]:
    with ExitStack() as stack:

        def plug(**options: Any) -> WholeBoard:
            folder = tmp_path / "board"
            return stack.enter_context(
                WholeBoard(folder, interpreters.need("stock"), **{"chip": ESP32, "world": WORLD, **options})
            )

        yield plug


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    (tmp_path / "image.bin").write_bytes(image(ESP32))
    config = tmp_path / "device" / "config.json"
    config.parent.mkdir()

    def run(board: WholeBoard, state: Path, *arguments: str, **environment: str) -> Result:
        where = ["--config", str(config), "--port", str(board.port), "--state", str(state)]
        result = CliRunner().invoke(app, ["run", *where, *arguments], env=environment)
        assert WIFI_PASSWORD not in result.output
        return result

    return run


def succeeded(result: Result) -> str:
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_run_takes_a_new_chip_to_its_first_telemetry(plug: Any, run: Any, lan: RunningCore, tmp_path: Path) -> None:
    board = plug()
    image_path = str(tmp_path / "image.bin")
    asked = ["--image", image_path, "--ssid", "home", "--name", "my-board", "--yes"]
    output = succeeded(run(board, lan.state, *asked, MQTT443_WIFI_PASSWORD=WIFI_PASSWORD))
    steps = ("this board needs MicroPython first", "verified: the flash holds", "registered my-board", "to send")
    places = [output.index(step) for step in (*steps, "telemetry arrives: telemetry/my-board {")]
    assert places == sorted(places)
    assert lan.next_message().topic == "telemetry/my-board"
    config = json.loads((tmp_path / "device" / "config.json").read_text())
    assert config["wifi"] == {"ssid": "home", "password": WIFI_PASSWORD}
    assert (config["endpoint"], config["port"], config["ca"]) == (ALIAS, lan.port, "ca.pem")

    again = succeeded(run(board, lan.state))
    assert "registered" not in again
    assert "verified" not in again
    assert "0 to send" in again
    assert "telemetry arrives: telemetry/my-board {" in again
    where = f"--state {lan.state}"
    assert f"next: mqtt443 watch {where}, or mqtt443 send my-board report {where}" in again


@pytest.fixture
def flashed(plug: Any, tmp_path: Path) -> WholeBoard:
    """A board that runs MicroPython already."""
    data = image(ESP32)
    board = WholeBoard(tmp_path / "flashed", interpreters.need("stock"), world=WORLD)
    board.flash.program(ESP32.image_offset, data)
    return board


def test_name_comes_from_the_chip_and_json_says_what_was_done(
    flashed: WholeBoard, run: Any, lan: RunningCore, tmp_path: Path
) -> None:
    with flashed as board:
        result = run(board, lan.state, "--ssid", "home", "--wifi-password", WIFI_PASSWORD, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    done = json.loads(result.stdout)
    assert done["client_id"] == "esp32-343433"  # of the shim's address
    assert json.loads(done["message"])["seq"] == 1


def test_board_that_sends_nothing_is_an_error_with_the_next_step(
    flashed: WholeBoard, run: Any, lan: RunningCore, tmp_path: Path
) -> None:
    with flashed as board:
        result = run(board, lan.state, "--ssid", "home", "--wifi-password", "another one", "--timeout", "3")
    assert isinstance(result.exception, CommandError)
    assert "no telemetry of esp32-343433 within 3 s" in str(result.exception)
    assert "mqtt443 check --client-id-safe --config" in str(result.exception)


def test_unattended_run_names_the_missing_option(
    flashed: WholeBoard, plug: Any, run: Any, lan: RunningCore, tmp_path: Path
) -> None:
    with flashed as board:
        assert "add --stack NAME" in str(run(board, tmp_path / "another").exception)
        assert str(run(board, lan.state).exception) == "which Wi-Fi? Add --ssid NAME"
        assert "MQTT443_WIFI_PASSWORD" in str(run(board, lan.state, "--ssid", "home").exception)
        assert "--open" in str(run(board, lan.state, "--open", "--wifi-password", "12345678").exception)
    assert "add --yes" in str(run(plug(), lan.state).exception)


def test_endpoint_on_loopback_is_refused_with_the_next_step(plug: Any, run: Any, core: RunningCore) -> None:
    result = run(plug(), core.state)
    assert isinstance(result.exception, CommandError)
    assert "mqtt443 local --lan" in str(result.exception)


NETWORKS = [
    Network("home", 6, -40, 3),
    Network("cafe", 1, -70, 0),
    Network("office", 11, -50, 5),
    Network("5g", 36, -60, 3),
]


def wifi(ssid: str | None, password: str | None, capsys: Any) -> tuple[dict[str, str], str]:
    chosen = choose_wifi(lambda: NETWORKS, ssid, password, Console())
    return chosen, capsys.readouterr().err


@pytest.mark.parametrize(
    ("ssid", "password", "warning"),
    [
        ("home", "12345678", ""),
        ("home", "a" * 63, ""),
        ("home", "0f" * 32, ""),
        ("cafe", None, ""),
        ("elsewhere", "12345678", "the board does not hear elsewhere: is it hidden, out of reach, or on 5 GHz alone?"),
        ("5g", "12345678", "the board hears 5g on 5 GHz (channel 36) alone"),
    ],
)
def test_network_that_can_work_is_taken(ssid: str, password: str | None, warning: str, capsys: Any) -> None:
    chosen, err = wifi(ssid, password, capsys)
    assert chosen == {"ssid": ssid, "password": password or ""}
    assert err == (f"warning: {warning}\n" if warning else "")


@pytest.mark.parametrize(
    ("ssid", "password", "reason"),
    [
        ("", "12345678", "1 to 32 bytes, this one has 0"),
        ("ü" * 17, "12345678", "1 to 32 bytes, this one has 34"),
        ("home", "1234567", "8 to 63 bytes, this one has 7"),
        ("home", "a" * 65, "8 to 63 bytes, this one has 65"),
        ("home", "z" * 64, "8 to 63 bytes, this one has 64"),
        ("home", "", "home is not open"),
        ("office", "12345678", "WPA2 Enterprise"),
    ],
)
def test_network_that_cannot_work_is_wrong_use(ssid: str, password: str, reason: str, capsys: Any) -> None:
    with pytest.raises(UsageError, match=reason):
        wifi(ssid, password, capsys)
