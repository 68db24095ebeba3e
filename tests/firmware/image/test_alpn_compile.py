"""The module compiles without a warning for the chips it is for, and refuses what it cannot work with."""

import shutil
import subprocess
from pathlib import Path

import pytest
from mqtt443_tools.micropython.recipes import OUTPUT, RECIPES, USER_MODULES, VARIANT
from mqtt443_tools.micropython.unpack import source_tree

from tests.firmware.image.needs import absent
from tests.support.board import interpreters

MODULE = USER_MODULES / "alpn" / "alpn.c"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wpointer-arith", "-Wdouble-promotion", "-Wfloat-conversion"]
SYSTEM_MBEDTLS = Path("/usr/include/mbedtls")

X86_64: tuple[str, list[str], str] = ("gcc", [], "gcc")
COMPILERS = {
    "x86-64": X86_64,
    "i386": ("gcc", ["-m32"], "gcc-multilib"),
    "rv32imc": (
        "riscv64-unknown-elf-gcc",
        ["-march=rv32imc", "-mabi=ilp32", "-specs=picolibc.specs"],
        "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    ),
    "xtensa": ("xtensa-lx106-elf-gcc", [], "gcc-xtensa-lx106 picolibc-xtensa-lx106-elf"),
}


class Compiler:
    """Compiles the module against the headers that the interpreter `alpn` was built with."""

    def __init__(self, folder: Path) -> None:
        interpreter = interpreters.need("alpn")
        tree, _ = source_tree(RECIPES["alpn"], OUTPUT)
        self.object = folder / "alpn.o"
        self.mbedtls = tree / "lib" / "mbedtls" / "include"
        self._headers = [tree, Path(interpreter.command[0]).parent, tree / "ports" / "unix"]

    def run(self, target: tuple[str, list[str], str], *defines: str) -> subprocess.CompletedProcess[str]:
        program, flags, package = target
        if not shutil.which(program) or not self._can_compile(program, flags):
            absent(f"no compiler for this chip (apt install {package})")
        command = [program, *flags, "-std=gnu99", "-Os", *WARNINGS, "-c", str(MODULE), "-o", str(self.object)]
        command += ["-I", str(Path(__file__).with_name("chip")), "-I", str(VARIANT)]
        # As system headers: their warnings are not ours.
        command += [word for folder in (self.mbedtls, *self._headers) for word in ("-isystem", str(folder))]
        command += ['-DMBEDTLS_CONFIG_FILE="tls_config.h"', *defines]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    @staticmethod
    def _can_compile(program: str, flags: list[str]) -> bool:
        command = [program, *flags, "-x", "c", "-", "-fsyntax-only"]
        headers = "#include <stdio.h>\n#include <string.h>\n"
        return not subprocess.run(
            command, input=headers.encode(), capture_output=True, timeout=30, check=False
        ).returncode


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    return Compiler(tmp_path)


@pytest.mark.parametrize("chip", COMPILERS)
def test_compiles_without_a_warning(compiler: Compiler, chip: str) -> None:
    done = compiler.run(COMPILERS[chip], "-DMBEDTLS_SSL_ALPN")
    assert (done.returncode, done.stderr) == (0, "")
    assert b"alpn" in compiler.object.read_bytes()


@pytest.mark.parametrize("chip", COMPILERS)
def test_compiles_without_a_warning_on_mbedtls_2(compiler: Compiler, chip: str, tmp_path: Path) -> None:
    version = SYSTEM_MBEDTLS / "version.h"
    if not version.exists() or 'VERSION_STRING         "2.' not in version.read_text():
        absent("no mbedTLS 2 on this system (apt install libmbedtls-dev on Debian 12)")
    compiler.mbedtls = tmp_path / "mbedtls2"
    compiler.mbedtls.mkdir()
    (compiler.mbedtls / "mbedtls").symlink_to(SYSTEM_MBEDTLS)
    done = compiler.run(COMPILERS[chip], "-DMBEDTLS_SSL_ALPN")
    assert (done.returncode, done.stderr) == (0, "")


def test_mbedtls_without_alpn_stops_the_build_and_names_the_setting(compiler: Compiler) -> None:
    done = compiler.run(X86_64)
    assert done.returncode == 1
    assert "#error" in done.stderr
    assert "CONFIG_MBEDTLS_SSL_ALPN=y" in done.stderr


def test_micropython_without_mbedtls_stops_the_build(compiler: Compiler) -> None:
    done = compiler.run(X86_64, "-DMBEDTLS_SSL_ALPN", "-DWITHOUT_TLS")
    assert done.returncode == 1
    assert "needs MicroPython's tls module" in done.stderr
