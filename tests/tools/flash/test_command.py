"""`mqtt443 flash` as it is typed: what it prints is kept in golden/, one file for each way it can go.

MQTT443_UPDATE_GOLDEN=1 writes the files anew; read the difference before it is committed.
"""

import errno
import functools
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import serial
from mqtt443_tools import cli
from mqtt443_tools.flash import flash_command, loader, ports
from mqtt443_tools.flash.image import parse_image
from mqtt443_tools.flash.image_sources import Release, Stock
from mqtt443_tools.flash.ports import Port
from mqtt443_tools.support.download import https_opener

from tests.support.chip.esp_image import WITH_VFS, app, file_system, image, table
from tests.support.chip.file_server import Server
from tests.support.chip.rom import Faults
from tests.support.chip.rom_chip import ESP32, ESP32_C3, ESP32_S3, ChipModel, NorFlash
from tests.support.golden import check_golden
from tests.tools.flash.conftest import Plug

GOLDEN = Path(__file__).with_name("golden")
Run = Callable[..., str]


class Terminal(io.StringIO):
    """A user at the keyboard, who types this."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MQTT443_REPO", raising=False)
    monkeypatch.setattr(loader, "connect", functools.partial(loader.connect, attempts=1))
    for name, chip in {"MQTT443_ESP32": ESP32, "MQTT443_ESP32_S3": ESP32_S3, "MQTT443_ESP32_C3": ESP32_C3}.items():
        Path(f"{name}.bin").write_bytes(image(chip))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; gives all it printed, standard error marked, and its exit code."""

    def run(*arguments: str, typed: str | None = None) -> str:
        monkeypatch.setattr(sys, "argv", ["mqtt443", "flash", *arguments])
        if typed is not None:
            monkeypatch.setattr(sys, "stdin", Terminal(typed))
        code: str | int = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return "\n".join([*out.splitlines(), *(f"stderr: {line}" for line in err.splitlines()), f"exit {code}\n"])

    return run


def check(name: str, printed: str, **replaced: str) -> None:
    for placeholder, text in replaced.items():
        printed = printed.replace(text, placeholder)
    check_golden(GOLDEN / f"{name}.txt", printed)


def holding(files: dict[str, bytes], size_mb: int = 4) -> NorFlash:
    flash = NorFlash(size_mb << 20)
    flash.program(0x8000, table(WITH_VFS))
    flash.program(0x200000, file_system(files))
    return flash


FILES = {"boot.py": b"1", "config.json": b"{}", "lib/mqtt443/__init__.py": b"2", "main.py": b"3"}


@pytest.mark.parametrize("chip", [ESP32, ESP32_S3, ESP32_C3], ids=lambda chip: chip.name)
def test_new_board_is_flashed(run: Run, plug: Plug, chip: ChipModel) -> None:
    rom = plug(chip)
    name = f"MQTT443_{chip.name.replace('-', '_')}.bin"
    check(f"new_{chip.name}", run("--image", name, "--port", rom.port), **{"/dev/ttyUSB0": rom.port})
    data = Path(name).read_bytes()
    assert rom.flash.data[chip.image_offset : chip.image_offset + len(data)] == data


def test_only_board_on_usb_is_found(run: Run, plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    rom = plug()
    monkeypatch.setattr(ports, "usb_ports", lambda: [Port(rom.port, "USB JTAG")])
    assert f"port {rom.port}\n" in run("--image", "MQTT443_ESP32_C3.bin")


def test_several_ports_are_asked_about(run: Run, plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    rom = plug()
    found = [Port("/dev/ttyACM0", "Espressif USB JTAG/serial debug unit"), Port(rom.port, "CP2102 USB to UART Bridge")]
    monkeypatch.setattr(ports, "usb_ports", lambda: found)
    printed = run("--image", "MQTT443_ESP32_C3.bin", typed="3\nx\n2\n")
    check("several_ports", printed, **{"/dev/ttyUSB0": rom.port})


def test_several_ports_without_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "usb_ports", lambda: [Port("/dev/ttyACM0", ""), Port("/dev/ttyUSB0", "")])
    check("several_ports_nobody", run("--image", "MQTT443_ESP32.bin"))


def test_no_port(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "usb_ports", list)
    check("no_port", run("--image", "MQTT443_ESP32.bin"))


def test_missing_port(run: Run) -> None:
    check("missing_port", run("--image", "MQTT443_ESP32.bin", "--port", "/dev/ttyUSB9"))


def test_busy_port(run: Run, plug: Plug) -> None:
    rom = plug()
    with ports.open_port(rom.port):
        check("busy_port", run("--image", "MQTT443_ESP32.bin", "--port", rom.port), **{"/dev/ttyUSB0": rom.port})


def test_forbidden_port(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:  # what pyserial raises; test_ports.py has the real thing
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial, "serial_for_url", denied)
    check("not_permitted", run("--image", "MQTT443_ESP32.bin", "--port", "/dev/ttyUSB9"))


def test_silent_board(run: Run, plug: Plug) -> None:
    rom = plug(faults=Faults(silent=True))
    check("silent", run("--image", "MQTT443_ESP32.bin", "--port", rom.port), **{"/dev/ttyUSB0": rom.port})


def test_board_with_files_is_kept_after_a_no(run: Run, plug: Plug) -> None:
    rom = plug(flash=holding(FILES))
    before = bytes(rom.flash.data)
    printed = run("--image", "MQTT443_ESP32_C3.bin", "--port", rom.port, typed="n\n")
    check("files_no", printed, **{"/dev/ttyUSB0": rom.port})
    assert rom.flash.data == before


def test_board_with_files_is_erased_after_a_yes(run: Run, plug: Plug) -> None:
    rom = plug(flash=holding(FILES))
    printed = run("--image", "MQTT443_ESP32_C3.bin", "--port", rom.port, typed="y\n")
    check("files_yes", printed, **{"/dev/ttyUSB0": rom.port})
    assert b"littlefs" not in rom.flash.data


def test_board_with_files_without_a_terminal(run: Run, plug: Plug) -> None:
    rom = plug(flash=holding(FILES))
    before = bytes(rom.flash.data)
    printed = run("--image", "MQTT443_ESP32_C3.bin", "--port", rom.port)
    check("files_nobody", printed, **{"/dev/ttyUSB0": rom.port})
    assert rom.flash.data == before


def test_yes_erases_files_without_a_question(run: Run, plug: Plug) -> None:
    rom = plug(flash=holding(FILES))
    assert run("--image", "MQTT443_ESP32_C3.bin", "--port", rom.port, "--yes").endswith("exit 0\n")
    assert b"littlefs" not in rom.flash.data


@pytest.mark.parametrize(
    ("name", "data", "flash_mb"),
    [
        ("other_chip", image(ESP32_S3), 4),
        ("small_flash", image(), 2),
        ("large_image", image(rows=WITH_VFS, flash_mb=2), 2),
        ("application_alone", app(), 4),
        ("no_image", b"<!DOCTYPE html>", 4),
    ],
)
def test_unsuitable_image_leaves_the_board_unchanged(
    run: Run, plug: Plug, name: str, data: bytes, flash_mb: int
) -> None:
    rom = plug(flash=holding(FILES) if flash_mb == 4 else NorFlash(flash_mb << 20))
    before = bytes(rom.flash.data)
    Path("image.bin").write_bytes(data)
    check(name, run("--image", "image.bin", "--port", rom.port, "--yes"), **{"/dev/ttyUSB0": rom.port})
    assert rom.flash.data == before


def test_interrupted_write_is_repeated_by_the_same_command(run: Run, plug: Plug) -> None:
    rom = plug(faults=Faults(unplug_after=0x10000))
    check("unplugged", run("--image", "MQTT443_ESP32_C3.bin", "--port", rom.port), **{"/dev/ttyUSB0": rom.port})
    again = plug(flash=rom.flash)
    assert run("--image", "MQTT443_ESP32_C3.bin", "--port", again.port).endswith("exit 0\n")
    assert again.flash.data.startswith(image())


def test_worn_out_flash_is_reported(run: Run, plug: Plug) -> None:
    rom = plug()
    rom.flash.stuck = 0x10000
    check("worn_out", run("--image", "MQTT443_ESP32_C3.bin", "--port", rom.port), **{"/dev/ttyUSB0": rom.port})


def test_files_are_written_after_the_image(run: Run, plug: Plug) -> None:
    rom = plug(flash=NorFlash(8 << 20))
    bundle = file_system(FILES, blocks=(6 << 20) // 4096)
    Path("b1.littlefs").write_bytes(bundle)
    printed = run("--image", "MQTT443_ESP32_C3.bin", "--files", "b1.littlefs", "--port", rom.port)
    check("bundle", printed, **{"/dev/ttyUSB0": rom.port})
    assert rom.flash.data[0x200000:] == bundle
    assert rom.flash.data.startswith(image())


def test_files_for_another_flash_size_are_refused(run: Run, plug: Plug) -> None:
    rom = plug()
    Path("b1.littlefs").write_bytes(file_system(FILES, blocks=1000))
    printed = run("--image", "MQTT443_ESP32_C3.bin", "--files", "b1.littlefs", "--port", rom.port)
    check("bundle_other_size", printed, **{"/dev/ttyUSB0": rom.port})
    assert rom.flash.programmed == 0


def test_json_is_the_only_standard_output(run: Run, plug: Plug) -> None:
    rom = plug(flash=holding({"main.py": b"1"}))
    printed = run("--image", "MQTT443_ESP32_C3.bin", "--port", rom.port, "--json", "--yes")
    check("json", printed, **{"/dev/ttyUSB0": rom.port})
    result = json.loads(printed.splitlines()[0])
    assert result["mac"] == "24:0a:c4:12:34:56"
    assert result["erased"] == ["main.py"]


def test_verbose_shows_the_output_of_esptool(run: Run, plug: Plug) -> None:
    rom = plug()
    printed = run("--image", "MQTT443_ESP32_C3.bin", "--port", rom.port, "--verbose")
    assert "stderr: esptool: Uploading stub flasher...\n" in printed
    assert "stderr: esptool: Hash of data verified.\n" in printed


def test_release_and_stock_images_are_downloaded_for_the_chip(
    run: Run, plug: Plug, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = "/someone/mqtt443/releases/download/v1.0"
    data = image()
    sums = f"{parse_image('', data).sha256}  MQTT443_ESP32_C3.bin\n".encode()
    server.pages |= {f"{folder}/SHA256SUMS": sums, f"{folder}/MQTT443_ESP32_C3.bin": data}
    server.pages["/resources/firmware/ESP32_GENERIC_C3-20250911-v1.26.1.bin"] = data
    monkeypatch.setattr(flash_command, "https_opener", functools.partial(https_opener, server.context))
    monkeypatch.setattr(flash_command, "Release", functools.partial(Release, host=server.url))
    monkeypatch.setattr(flash_command, "Stock", functools.partial(Stock, host=server.url))
    rom = plug()
    places = {"/dev/ttyUSB0": rom.port, "https://github.com": server.url}
    check("release", run("--release", "v1.0", "--repo", "someone/mqtt443", "--port", rom.port), **places)
    places = {"/dev/ttyUSB0": rom.port, "https://micropython.org": server.url}
    check("stock", run("--micropython", "1.26.1", "--port", rom.port), **places)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--image", "a.bin", "--release", "v1"),
        ("--release", "v1.0"),
        ("--micropython", "2.0"),
        ("--image", "MQTT443_ESP32.bin", "--sha256", "abc"),
        ("--image", "MQTT443_ESP32.bin", "--baud", "5"),
    ],
    ids=["no image", "two images", "no repository", "unknown version", "no sum", "no rate"],
)
def test_wrong_use_ends_with_2_before_a_port_is_opened(
    run: Run, arguments: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    printed = run(*arguments, "--port", "/dev/ttyUSB9")
    assert printed.endswith("exit 2\n")
    assert "ttyUSB9" not in printed


def test_file_with_another_sum_is_refused(run: Run, plug: Plug) -> None:
    rom = plug()
    printed = run("--image", "MQTT443_ESP32_C3.bin", "--sha256", "0" * 64, "--port", rom.port)
    assert f"expected {'0' * 64}" in printed
    assert rom.commands == []
