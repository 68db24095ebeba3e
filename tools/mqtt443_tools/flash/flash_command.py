"""The command `mqtt443 flash`: options in, the library called, exit code out. esptool is loaded only when it runs."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mqtt443_tools.flash.flash_errors import ImageError
from mqtt443_tools.flash.image import Image, read_bundle, read_image
from mqtt443_tools.flash.image_sources import Release, Stock, check_sha256
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.download import Downloads, https_opener
from mqtt443_tools.support.errors import UsageError
from mqtt443_tools.support.options import JsonOption, PortOption, YesOption
from mqtt443_tools.support.paths import cache_folder

NEXT = "mqtt443 device add NAME --out config.json, then mqtt443 push"
NEXT_WITH_FILES = "mqtt443 monitor"


def flash(
    *,
    image: Annotated[Path | None, typer.Option(help="An image in a file.", show_default=False)] = None,
    release: Annotated[
        str | None, typer.Option(help="Our image with ALPN, from the release with this tag.", show_default=False)
    ] = None,
    micropython: Annotated[
        str | None, typer.Option(help="Stock MicroPython of this version, such as 1.26.1.", show_default=False)
    ] = None,
    port: PortOption = None,
    files: Annotated[
        Path | None, typer.Option(help="A littlefs image to write after it; see push --bundle.", show_default=False)
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="The expected SHA-256 of the image.", show_default=False)] = None,
    repo: Annotated[
        str | None,
        typer.Option(envvar="MQTT443_REPO", help="For --release: OWNER/NAME on GitHub.", show_default=False),
    ] = None,
    baud: Annotated[int, typer.Option(min=9600, max=2_000_000, help="Bits per second while writing.")] = 460_800,
    yes: YesOption = False,
    as_json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show esptool's own output.")] = False,
) -> None:
    """Erase a board on USB, and put MicroPython on it."""
    from mqtt443_tools.flash import flashing, loader, ports  # noqa: PLC0415 - esptool takes half a second to load

    console = Console(to_stderr=as_json, yes=yes)
    downloads = Downloads(cache_folder(), https_opener(), console.say)
    get_image = _source(image, release, micropython, repository=repo, sha256=sha256, downloads=downloads)
    bundle = None if files is None else read_bundle(files)
    device = port or ports.choose(ports.usb_ports(), console).device
    console.say(f"port {device}")
    with loader.connect(ports.open_port(device), baud=baud, log=_esptool_line(console) if verbose else None) as board:
        done = flashing.flash(board, get_image, console, files=bundle)
    console.say(f"next: {NEXT if bundle is None else NEXT_WITH_FILES}")
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
    """Return a function that gets the image for a chip; raises CommandError for mistakes that concern any chip."""
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


def _esptool_line(console: Console) -> Callable[[str], None]:
    return lambda line: console.warn(f"esptool: {line}")
