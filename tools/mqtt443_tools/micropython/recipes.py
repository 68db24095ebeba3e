"""The interpreters: what each is made of, and whether a built one is up to date.

sources.py gets the sources; builder.py runs the compiler.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mqtt443_tools.micropython.sources import MBEDTLS_3_6, MICROPYTHON_1_25, MICROPYTHON_1_26, Source
from mqtt443_tools.support.paths import BUILD, FIRMWARE, ROOT

VARIANT = Path(__file__).with_name("unix")
USER_MODULES = ROOT / "firmware" / "image"
OUTPUT = BUILD / "micropython"

# Increase it when the build changes in a way that the files below do not show.
_BUILD_STEPS = 1


@dataclass(frozen=True)
class Recipe:
    """One interpreter.

    Args:
        name: its folder among the built interpreters.
        micropython: the acceptable MicroPython sources, best first.
        mbedtls: the acceptable mbedTLS sources, best first.
        with_alpn: whether it has our module and an mbedTLS with ALPN.
        bits: 64, or 32 for a chip's heap figures.
        with_package: whether the device package is frozen into it, as in our image.
    """

    name: str
    micropython: tuple[Source, ...]
    mbedtls: tuple[Source, ...]
    with_alpn: bool
    bits: int
    with_package: bool = False


# Debian's testing suite has one version at a time; when it moves on, the one in Debian 13 remains.
NEWEST = (*MICROPYTHON_1_26, *MICROPYTHON_1_25)

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("stock", NEWEST, MBEDTLS_3_6, with_alpn=False, bits=64),
        Recipe("alpn", NEWEST, MBEDTLS_3_6, with_alpn=True, bits=64),
        Recipe("alpn32", NEWEST, MBEDTLS_3_6, with_alpn=True, bits=32),
        Recipe("stock-1.25", MICROPYTHON_1_25, MBEDTLS_3_6, with_alpn=False, bits=64),
        Recipe("frozen32", NEWEST, MBEDTLS_3_6, with_alpn=True, bits=32, with_package=True),
    )
}


def key(recipe: Recipe) -> str:
    """Digest everything that an interpreter depends on; it must be rebuilt when the digest changes.

    Args:
        recipe: the interpreter.

    Returns:
        64 hexadecimal digits.
    """
    folders = [VARIANT, *([USER_MODULES / "alpn"] if recipe.with_alpn else [])]
    files = sorted(path for folder in folders for path in folder.iterdir() if path.is_file())
    if recipe.with_package:
        files += sorted(FIRMWARE.glob("*.py"))
    contents = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    choices = {name: value for name, value in asdict(recipe).items() if name != "with_package"}  # it is among the files
    inputs = {"steps": _BUILD_STEPS, "recipe": choices, "files": contents}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def find(name: str, output: Path = OUTPUT) -> Path | None:
    """Find a built interpreter.

    Args:
        name: `stock`, `alpn`, `alpn32`, `stock-1.25` or `frozen32`.
        output: the folder of built interpreters.

    Returns:
        The program; None if it is not built, or out of date.

    Raises:
        KeyError: there is no interpreter of that name.
    """
    recipe = RECIPES[name]
    program, stamp = output / name / "micropython", output / name / "key"
    try:
        fresh = stamp.read_text() == key(recipe) and os.access(program, os.X_OK)
    except FileNotFoundError:
        return None
    return program if fresh else None


def missing(output: Path = OUTPUT) -> list[str]:
    """Return the names of the interpreters that are not built, or out of date."""
    return [name for name in RECIPES if find(name, output) is None]
