"""The command `mqtt443 run`: looks at a board on USB, and takes the missing steps until its first telemetry arrives."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mqtt443_tools.support.config_file import read_config, update_config
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.options import (
    ConfigOption,
    JsonOption,
    PortOption,
    ProfileOption,
    RegionOption,
    StackOption,
    StateOption,
    YesOption,
    place_options,
)
from mqtt443_tools.support.paths import STATE, cache_folder
from mqtt443_tools.support.posix import needs_posix

if TYPE_CHECKING:
    from mqtt443_tools.flash.image import Image
    from mqtt443_tools.push.board_radio import Network

STOCK_VERSION = "1.26.1"
"""The stock MicroPython that the tests run, for a board without one."""
BOOT_S = 15.0
"""For a board that was flashed: it makes its file system at its first start."""
AGAIN_S = 0.5


@dataclass(frozen=True)
class Looked:
    """A board that runs MicroPython: its software, the networks that it hears, and its address."""

    networks: "tuple[Network, ...]"
    mac: bytes


def run(
    *,
    name: Annotated[
        str | None, typer.Option(show_default=False, help="Client id; default: the one in the config, or esp32-<MAC>.")
    ] = None,
    config: ConfigOption = Path("config.json"),
    port: PortOption = None,
    ssid: Annotated[str | None, typer.Option(show_default=False, help="The Wi-Fi; default: ask, after a scan.")] = None,
    wifi_password: Annotated[
        str | None,
        typer.Option(envvar="MQTT443_WIFI_PASSWORD", show_default=False, help="Its password; default: ask."),
    ] = None,
    open_wifi: Annotated[bool, typer.Option("--open", help="The Wi-Fi has no password.")] = False,
    image: Annotated[
        Path | None, typer.Option(show_default=False, help="Image for a board without MicroPython 1.24 or later.")
    ] = None,
    micropython: Annotated[
        str, typer.Option(help="Without --image: the version of stock MicroPython.")
    ] = STOCK_VERSION,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    timeout: Annotated[float, typer.Option(min=1, max=86400, help="Seconds to wait for the first telemetry.")] = 120,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a board on USB to its first telemetry: flash, Wi-Fi, registration, push, log.

    Skips the steps that the board does not need, so you can run it again after an interruption.
    """
    needs_posix("mqtt443 run")
    from mqtt443_tools.device.backends import open_backend  # noqa: PLC0415 - loads the local endpoint's code
    from mqtt443_tools.flash import ports  # noqa: PLC0415 - loads pyserial
    from mqtt443_tools.monitor.monitor_command import keyboard  # noqa: PLC0415
    from mqtt443_tools.run.first_publish import await_first_publish  # noqa: PLC0415
    from mqtt443_tools.run.networks import choose_wifi, has_wifi  # noqa: PLC0415
    from mqtt443_tools.run.whereto import choose_stack, is_registered, register  # noqa: PLC0415

    if open_wifi and wifi_password:
        raise UsageError("--open: leave out --wifi-password, or the variable MQTT443_WIFI_PASSWORD")
    console = Console(to_stderr=as_json, yes=yes)
    keys = read_config(config)  # a file that cannot be merged must fail first
    stack = choose_stack(state, stack, console)
    backend = open_backend(state, stack, region, profile)
    device = port or ports.choose(ports.usb_ports(), console).device
    console.say(f"port {device}")
    wants_wifi = ssid is not None or not has_wifi(keys)
    looked = _look_or_flash(device, image, micropython, console, listen=wants_wifi)
    if not is_registered(config, backend) or name not in {None, keys.get("client_id")}:
        client_id = name or str(keys.get("client_id") or f"esp32-{looked.mac.hex()[-6:]}")
        register(config, backend, client_id, console)
    if wants_wifi:
        password = "" if open_wifi else wifi_password
        update_config(config, {"wifi": choose_wifi(lambda: looked.networks, ssid, password, console)})
    _push(device, config, console)
    with keyboard() as pressed:
        published = await_first_publish(device, ports.open_port, timeout, pressed, as_json=as_json)
    client_id = str(read_config(config)["client_id"])
    if published is None:
        raise CommandError(
            f"no telemetry of {client_id} within {timeout:g} s: the log above says what the board tried; "
            f"`mqtt443 check --client-id-safe --config {config}` tries the same from here"
        )
    console.say(f"telemetry arrives: telemetry/{client_id} {published}", style="green")
    place = place_options(state, stack, region, profile)
    console.say(f"next: mqtt443 watch{place}, or mqtt443 send {client_id} report{place}")
    if as_json:
        typer.echo(json.dumps({"client_id": client_id, "port": device, "config": str(config), "message": published}))


def _look_or_flash(device: str, image: Path | None, version: str, console: Console, *, listen: bool) -> Looked:
    """Look at the board; flash it if it does not run a MicroPython that will do. Raises CommandError."""
    from mqtt443_tools.flash import flashing, loader, ports  # noqa: PLC0415 - esptool takes half a second to load
    from mqtt443_tools.flash.flash_errors import PortError  # noqa: PLC0415

    try:
        return _look(device, console, listen=listen)
    except PortError:
        raise
    except CommandError as error:
        reason, _, _ = str(error).partition(": ")  # the rest is the next step of `push`
        console.say(f"this board needs MicroPython first: {reason}")
    question = f"Put {image or f'stock MicroPython {version}'} on it?"
    if not console.confirm(question, "flashing a board needs your confirmation"):
        raise CommandError("the board was not changed")
    get_image = _image_source(image, version, console)
    with loader.connect(ports.open_port(device)) as board:
        flashing.flash(board, get_image, console)
    deadline = time.monotonic() + BOOT_S
    while True:
        with suppress(CommandError):
            return _look(device, console, listen=listen)
        if time.monotonic() >= deadline:
            return _look(device, console, listen=listen)
        time.sleep(AGAIN_S)


def _look(device: str, console: Console, *, listen: bool) -> Looked:
    """Stop what runs on the board, and ask what it is; `listen`: for networks, too. Raises CommandError."""
    from mqtt443_tools.push import board_programs, board_radio  # noqa: PLC0415 - loads the board's code
    from mqtt443_tools.push.serial_repl import open_link  # noqa: PLC0415

    with open_link(device) as link:
        link.stop_program()
        about = board_programs.about(link)
        console.say(f"board: MicroPython {'.'.join(map(str, about.version))} on {about.machine}")
        return Looked(tuple(board_radio.scan(link)) if listen else (), board_radio.mac(link))


def _image_source(image: Path | None, version: str, console: Console) -> Callable[[str], "Image"]:
    """Return a function that gets the image for a chip. Raises CommandError."""
    from mqtt443_tools.flash.image import read_image  # noqa: PLC0415
    from mqtt443_tools.flash.image_sources import Stock  # noqa: PLC0415
    from mqtt443_tools.support.download import Downloads, https_opener  # noqa: PLC0415

    if image is not None:
        read = read_image(image)
        return lambda _chip: read
    stock, downloads = Stock(version), Downloads(cache_folder(), https_opener(), console.say)
    return lambda chip: stock.get(chip, downloads, None)


def _push(device: str, config: Path, console: Console) -> None:
    """Send what the board lacks, and restart it. Raises CommandError."""
    from mqtt443_tools.push import board_tree  # noqa: PLC0415 - loads the board's code
    from mqtt443_tools.push.push import PushRequest, push  # noqa: PLC0415
    from mqtt443_tools.push.serial_repl import open_link  # noqa: PLC0415

    settings = board_tree.read_settings(config)
    own = board_tree.own_files(config, settings)
    with open_link(device) as link:
        push(link, PushRequest(settings, own), console)
