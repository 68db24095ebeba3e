"""The board definitions, read by MicroPython's own build files; ESP-IDF itself, which is not here, is emulated."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mqtt443_tools.micropython.recipes import OUTPUT, RECIPES, USER_MODULES
from mqtt443_tools.micropython.unpack import source_tree
from mqtt443_tools.support.paths import ROOT

from tests.firmware.image.needs import absent
from tests.support.board import interpreters

# The chip as ESP-IDF calls it; ESP32 is its default, which the stock board leaves unsaid.
BOARDS = {"ESP32": "", "ESP32_S3": "esp32s3", "ESP32_C3": "esp32c3", "ESP32_C6": "esp32c6"}

# Where ESP-IDF would take over: gathers the modules as MicroPython does, and writes down what it would be given.
FAKE_IDF = """
function(idf_build_set_property)
endfunction()
macro(project name)
    _project(${name} LANGUAGES NONE)
    set(MICROPY_DIR ${CMAKE_SOURCE_DIR}/../..)  # as esp32_common.cmake does
    include(${CMAKE_SOURCE_DIR}/../../py/usermod.cmake)
    file(WRITE ${CMAKE_BINARY_DIR}/seen "${IDF_TARGET}\\n${MICROPY_FROZEN_MANIFEST}\\n${MICROPY_SOURCE_USERMOD}\\n")
endmacro()
"""

# Reads a manifest as a build for ESP32 does, and tells the frozen files.
READ_MANIFEST = """
import json, sys
sys.path.insert(0, sys.argv[1] + "/tools")
import manifestfile
paths = {"MPY_DIR": sys.argv[1], "MPY_LIB_DIR": sys.argv[2], "PORT_DIR": sys.argv[1] + "/ports/esp32", "BOARD_DIR": ""}
manifest = manifestfile.ManifestFile(manifestfile.MODE_FREEZE, paths)
manifest.execute(sys.argv[3])
print(json.dumps([[file.target_path, file.full_path] for file in manifest.files()]))
"""


@pytest.fixture(scope="module")
def tree() -> Path:
    interpreters.need("alpn")
    return source_tree(RECIPES["alpn"], OUTPUT)[0]


def configure(tree: Path, folder: Path, board: str, *options: str) -> list[str]:
    """Run CMake on MicroPython's ESP32 port for a board; returns what ESP-IDF was given."""
    if not shutil.which("cmake"):
        absent("no cmake (apt install cmake)")
    idf = folder / "idf" / "tools" / "cmake"
    idf.mkdir(parents=True)
    (idf / "project.cmake").write_text(FAKE_IDF)
    command = [
        "cmake",
        "-S",
        str(tree / "ports" / "esp32"),
        "-B",
        str(folder / "build"),
        "-D",
        f"MICROPY_BOARD={board}",
    ]
    command += ["-D", f"MICROPY_BOARD_DIR={USER_MODULES / 'boards' / board}", *options]
    environment = {"PATH": "/usr/bin:/bin", "IDF_PATH": str(folder / "idf")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "build" / "seen").read_text().splitlines()


@pytest.mark.parametrize("chip", BOARDS)
def test_board_is_the_stock_board_with_alpn_and_our_module(tree: Path, tmp_path: Path, chip: str) -> None:
    target, manifest, sources = configure(tree, tmp_path, f"MQTT443_{chip}")
    assert target == BOARDS[chip]
    assert Path(manifest) == USER_MODULES / "boards" / "manifest.py"
    assert sources.split(";") == [str(USER_MODULES / "alpn" / "alpn.c")]

    combined = (tmp_path / "build" / "sdkconfig.combined").read_text()
    assert re.findall(r"^CONFIG_MBEDTLS_SSL_ALPN=(.)$", combined, re.MULTILINE) == ["n", "y"], "the last one counts"
    stock = tree / "ports" / "esp32" / "boards" / f"ESP32_GENERIC{chip.removeprefix('ESP32')}" / "mpconfigboard.cmake"
    for name in re.findall(r"boards/([^\s)]+)", stock.read_text()):
        assert (tree / "ports" / "esp32" / "boards" / name).read_text() in combined


def test_module_named_on_the_command_line_too_is_built_once(tree: Path, tmp_path: Path) -> None:
    module = USER_MODULES / "alpn" / "micropython.cmake"
    _, _, sources = configure(tree, tmp_path, "MQTT443_ESP32", "-D", f"USER_C_MODULES={module}")
    assert sources == str(USER_MODULES / "alpn" / "alpn.c")


@pytest.mark.parametrize("chip", BOARDS)
def test_board_has_the_stock_boards_chip_and_a_name_of_its_own(tree: Path, chip: str) -> None:
    if not shutil.which("gcc"):
        absent("no compiler (apt install gcc)")

    def macros(header: Path) -> dict[str, str]:
        command = ["gcc", "-E", "-dM", "-I", str(tree / "ports" / "esp32"), "-x", "c", str(header)]
        defined = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        return dict(re.findall(r"^#define (MICROPY_\S+) +(.*)$", defined, re.MULTILINE))

    stock = f"ESP32_GENERIC{chip.removeprefix('ESP32')}"
    theirs = macros(tree / "ports" / "esp32" / "boards" / stock / "mpconfigboard.h")
    ours = macros(USER_MODULES / "boards" / f"MQTT443_{chip}" / "mpconfigboard.h")
    assert ours.pop("MICROPY_HW_BOARD_NAME") == f'"mqtt443 on {chip.replace("_", "-")}"'
    theirs.pop("MICROPY_HW_BOARD_NAME")
    assert ours == theirs


def read_manifest(tree: Path, library: Path, manifest: Path) -> dict[str, Path]:
    """Evaluate a manifest; micropython-lib, which Debian leaves out, is emulated by empty packages."""
    required = [tree / "ports" / "esp32" / "boards" / "manifest.py", ROOT / "firmware" / "manifest.py"]
    for name in {name for file in required for name in re.findall(r'require\("(\S+)"\)', file.read_text())}:
        package = library / "micropython" / name
        package.mkdir(parents=True)
        (package / "manifest.py").write_text('metadata(version="0")\n')
    command = [sys.executable, "-c", READ_MANIFEST, str(tree), str(library), str(manifest)]
    read = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert read.returncode == 0, read.stderr
    return {target: Path(path) for target, path in json.loads(read.stdout)}


def test_manifest_freezes_the_whole_device_package(tree: Path, tmp_path: Path) -> None:
    frozen = read_manifest(tree, tmp_path, ROOT / "firmware" / "manifest.py")
    assert set(frozen.values()) == set((ROOT / "firmware" / "mqtt443").glob("*.py"))
    assert all(target == f"mqtt443/{path.name}" for target, path in frozen.items())


def test_image_freezes_the_stock_modules_and_the_device_package(tree: Path, tmp_path: Path) -> None:
    frozen = read_manifest(tree, tmp_path, USER_MODULES / "boards" / "manifest.py")
    assert {"asyncio/core.py", "flashbdev.py", "inisetup.py", "mqtt443/__init__.py"} <= set(frozen)
