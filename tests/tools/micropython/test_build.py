"""When the interpreters are built, and what a failed build reports; `make` and gcc are fakes here."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mqtt443_tools.micropython import builder, recipes
from mqtt443_tools.micropython.builder import build, check_tools
from mqtt443_tools.micropython.recipes import find, missing
from mqtt443_tools.micropython.sources import BuildError
from mqtt443_tools.support.console import Console

from tests.support.console import ScriptedConsole

# Both gcc and make: writes down its arguments, says two lines, and makes what make would.
FAKE_TOOL = """#!/bin/sh
case "$0" in *gcc) exit 0;; esac
objects=
for word in "$@"; do case "$word" in BUILD=*) objects=${{word#BUILD=}};; esac; done
[ "$objects" ] || exit 0
echo "$@" >> "{log}"
echo compiling; echo "error: this is wrong" >&2
{ending}
mkdir -p "$objects/genhdr"
word=002
case " $* " in *" MICROPY_FORCE_32BIT=1 "*) word=001;; esac
{word}
printf "\\\\177ELF\\\\$word" > "$objects/micropython"
chmod +x "$objects/micropython"
"""


class Workshop:
    """Builds into a folder with fake tools."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        self.log = folder / "calls"
        self.play()

    def play(self, ending: str = "", word: str = "") -> None:
        (self.folder / "bin").mkdir(exist_ok=True)
        for tool in ("gcc", "make"):
            (self.folder / "bin" / tool).write_text(FAKE_TOOL.format(log=self.log, ending=ending, word=word))
            (self.folder / "bin" / tool).chmod(0o755)

    def build(self, *names: str, said: list[str] | None = None) -> None:
        console = ScriptedConsole([] if said is None else said)
        sources = (self.folder / "tree", "1.26.1")
        build(names or None, output=self.output, console=console, have_sources=lambda _recipe, _output: sources)

    @property
    def calls(self) -> list[set[str]]:
        return [set(line.split()) for line in self.log.read_text().splitlines()]


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    return Workshop(tmp_path)


def test_each_interpreter_is_built_once_and_found(workshop: Workshop) -> None:
    said: list[str] = []
    workshop.build(said=said)
    assert missing(workshop.output) == []
    assert find("alpn32", workshop.output) == workshop.output / "alpn32" / "micropython"
    assert said[0] == "[1/5] stock: building"
    assert said[1].startswith("[1/5] stock: MicroPython 1.26.1 built in ")
    said.clear()
    workshop.build(said=said)
    assert said == [f"[{n}/5] {name}: up to date" for n, name in enumerate(recipes.RECIPES, 1)]
    assert len(workshop.calls) == 5


def test_progress_of_the_compiler_is_shown(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(builder, "COMPILED_FILES", 4)
    workshop.play(ending="for file in 1 2 3 4; do echo CC $file.c; done")
    sources = (workshop.folder / "tree", "1.26.1")
    build(("stock",), output=workshop.output, console=Console(), have_sources=lambda _recipe, _output: sources)
    assert [line for line in capsys.readouterr().err.splitlines() if line.endswith("%")] == [
        f"[1/1] stock: {percent} %" for percent in (25, 50, 75, 100)
    ]


def test_only_the_named_interpreters_are_built(workshop: Workshop) -> None:
    workshop.build("stock")
    assert missing(workshop.output) == ["alpn", "alpn32", "stock-1.25", "frozen32"]


def test_compiler_gets_the_module_and_word_size_of_the_recipe(workshop: Workshop) -> None:
    workshop.build()
    module = f"USER_C_MODULES={recipes.USER_MODULES}"
    assert [module in words for words in workshop.calls] == [False, True, True, False, True]
    assert ["MICROPY_FORCE_32BIT=1" in words for words in workshop.calls] == [False, False, True, False, True]
    assert [any("FROZEN_MANIFEST=" in word for word in words) for words in workshop.calls] == [False] * 4 + [True]


def test_makefile_that_ignores_the_word_size_is_an_error(workshop: Workshop) -> None:
    workshop.play(word="word=002")
    with pytest.raises(BuildError, match="another word size than 32 bits: its Makefile no longer takes MICROPY_FORCE"):
        workshop.build("alpn32")
    assert find("alpn32", workshop.output) is None


def test_changed_module_rebuilds_only_interpreters_that_have_it(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = tmp_path / "image"
    (modules / "alpn").mkdir(parents=True)
    (modules / "alpn" / "alpn.c").write_text("int one;")
    monkeypatch.setattr(recipes, "USER_MODULES", modules)
    workshop.build()
    (modules / "alpn" / "alpn.c").write_text("int two;")
    assert missing(workshop.output) == ["alpn", "alpn32", "frozen32"]


def test_changed_package_rebuilds_only_the_interpreter_that_has_it(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text("one = 1")
    monkeypatch.setattr(recipes, "FIRMWARE", tmp_path)
    workshop.build()
    (tmp_path / "app.py").write_text("one = 2")
    assert missing(workshop.output) == ["frozen32"]


def test_sources_and_settings_change_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipes.RECIPES["stock"]
    other_source = replace(recipe.mbedtls[0], sha256="0" * 64)
    assert recipes.key(recipe) == recipes.key(replace(recipe))
    assert recipes.key(recipe) != recipes.key(replace(recipe, mbedtls=(other_source,)))
    assert recipes.key(recipe) != recipes.key(replace(recipe, bits=32))
    before = recipes.key(recipe)
    monkeypatch.setattr(recipes, "VARIANT", tmp_path)
    assert recipes.key(recipe) != before


def test_failed_build_shows_its_log_and_keeps_the_old_interpreter(workshop: Workshop) -> None:
    workshop.build("stock")
    (workshop.output / "stock" / "key").write_text("of something else")
    workshop.play(ending="exit 2")
    with pytest.raises(BuildError) as failure:
        workshop.build("stock")
    first, *tail = str(failure.value).splitlines()
    assert str(workshop.output / "stock.log") in first
    assert tail == ["compiling", "error: this is wrong"]
    assert (workshop.output / "stock" / "micropython").exists()
    assert sorted(path.name for path in workshop.output.iterdir()) == [".lock", "stock", "stock.log"]


def test_flags_of_an_outer_make_are_not_passed_on(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "BUILD=elsewhere")
    workshop.play(ending='[ -z "$MAKEFLAGS" ] || exit 2')
    workshop.build("stock")


def test_unknown_interpreter_is_an_error(workshop: Workshop) -> None:
    with pytest.raises(KeyError):
        workshop.build("nonesuch")
    with pytest.raises(KeyError):
        find("nonesuch", workshop.output)


@pytest.mark.parametrize("tool", ["gcc", "make"])
def test_missing_tool_is_named_with_its_package(tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in {"gcc", "make"} - {tool}:
        (tmp_path / other).write_text("#!/bin/sh\n")
        (tmp_path / other).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=f"^{tool} is missing: apt install {tool}$"):
        check_tools()


@pytest.mark.parametrize(("bits", "package"), [(64, "libc6-dev"), (32, "gcc-multilib")])
def test_missing_library_is_named_with_its_package(
    bits: int, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A compiler that cannot build for this word size.
    refused = "*-m32*) exit 1" if bits == 32 else "*) exit 1"
    (tmp_path / "gcc").write_text(f'#!/bin/sh\ncase "$*" in {refused};; esac\n')
    (tmp_path / "make").write_text("#!/bin/sh\n")
    for tool in ("gcc", "make"):
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=f"apt install {package}$"):
        check_tools(bits)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mqtt443_tools.micropython", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)


def test_command_refuses_an_unknown_name() -> None:
    ended = command("build", "nonesuch")
    assert ended.returncode == 2
    assert ended.stderr == "no interpreter is called nonesuch: choose from stock, alpn, alpn32, stock-1.25, frozen32\n"


def test_command_lists_the_interpreters() -> None:
    ended = command("list")
    assert ended.returncode == 0
    assert [line.split()[0] for line in ended.stdout.splitlines()] == [
        "stock",
        "alpn",
        "alpn32",
        "stock-1.25",
        "frozen32",
    ]


def test_command_shows_an_example_in_its_help() -> None:
    assert "Example: python -m mqtt443_tools.micropython build stock alpn" in command("build", "--help").stdout
