"""The command `mqtt443 flash`: options in, the library called, exit code out. esptool is loaded only when it runs."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mqtt443_tools.flash.download import Downloads, cache_folder, https_opener
from mqtt443_tools.flash.flash_errors import ImageError
from mqtt443_tools.flash.image import Image, read_bundle, read_image
from mqtt443_tools.flash.image_sources import Release, Stock, check_sha256
from mqtt443_tools.flash.progress import Screen
from mqtt443_tools.support.errors import CommandError, UsageError

EXAMPLE = "Example: mqtt443 flash --image build/image/MQTT443_ESP32.bin"


def flash(
    *,
    image: Annotated[Path | None, typer.Option(help="An image in a file.", show_default=False)] = None,
    release: Annotated[
        str | None, typer.Option(help="Our image with ALPN, of the release with this tag.", show_default=False)
    ] = None,
    micropython: Annotated[
        str | None, typer.Option(help="Stock MicroPython of this version, such as 1.26.1.", show_default=False)
    ] = None,
    port: Annotated[
        str | None, typer.Option(help="The board's serial port; without it, it is looked for.", show_default=False)
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="A littlefs image to write behind it: see push --bundle.", show_default=False)
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="What the image's SHA-256 must be.", show_default=False)] = None,
    repo: Annotated[
        str | None,
        typer.Option(envvar="MQTT443_REPO", help="For --release: OWNER/NAME on GitHub.", show_default=False),
    ] = None,
    baud: Annotated[int, typer.Option(min=9600, max=2_000_000, help="Bits a second while writing.")] = 460_800,
    yes: Annotated[bool, typer.Option("--yes", help="Erase the board's files without a question.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what esptool says.")] = False,
) -> None:
    """Erase a board on USB, and put MicroPython on it."""
    try:  # esptool takes half a second to load, and is not there in a set-up for `make demo`
        from mqtt443_tools.flash import flashing, loader, ports  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mqtt443_tools"):
            raise  # ours, so no extra brings it
        raise CommandError(
            "flash needs esptool, pyserial and littlefs-python: .venv/bin/pip install --editable '.[board]'"
        ) from error
    screen = Screen(as_json=as_json)
    downloads = Downloads(cache_folder(), https_opener(), screen.say)
    get_image = _source(image, release, micropython, repository=repo, sha256=sha256, downloads=downloads)
    bundle = None if files is None else read_bundle(files)
    device = port or ports.choose(ports.usb_ports(), screen.ask_port if sys.stdin.isatty() else None).device
    screen.say(f"port {device}")
    with loader.connect(ports.open_port(device), baud=baud, talk=screen.talk if verbose else None) as board:
        done = flashing.flash(board, get_image, screen, files=bundle, ask=not yes)
    if as_json:
        typer.echo(json.dumps({"port": device, **asdict(done)}))


def _source(
    file: Path | None,
    tag: str | None,
    version: str | None,
    *,
    repository: str | None,
    sha256: str | None,
    downloads: Downloads,
) -> Callable[[str], Image]:
    """Return what gives the image for a chip, after all that can be said without a chip; raises CommandError."""
    if sum(option is not None for option in (file, tag, version)) != 1:
        raise UsageError("say which image: one of --image FILE, --release TAG, --micropython VERSION")
    expected = None if sha256 is None else check_sha256(sha256)
    if file is not None:
        image = read_image(file)
        if expected not in {None, image.sha256}:
            raise ImageError(f"{file} has SHA-256 {image.sha256}, expected {expected}")
        return lambda _chip: image
    if version is not None:
        stock = Stock(version)
        return lambda chip: stock.get(chip, downloads, expected)
    if repository is None or tag is None:
        raise UsageError("no release of ours is published yet: name a repository that has one, --repo OWNER/NAME")
    release = Release(repository, tag)
    return lambda chip: release.get(chip, downloads, expected)


flash.__doc__ = f"{flash.__doc__}\n\n{EXAMPLE}"
