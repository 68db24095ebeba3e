"""The user's own code for a board: which files count, and that a mistake is found before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from mqtt443_tools.support.board_code import own_code
from mqtt443_tools.support.errors import CommandError


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_folder_board_goes_to_the_board_as_it_is(tmp_path: Path) -> None:
    files = {"sensors.py": "def read():\n    return {}\n", "lib/bme280/__init__.py": "", "page.html": "<p>"}
    write(tmp_path / "board", {**files, "__pycache__/sensors.pyc": "x", ".DS_Store": "x", "lib/.git/HEAD": "x"})
    write(tmp_path, {"sensors.py": "this is not read"})
    assert own_code(tmp_path) == {name: text.encode() for name, text in files.items()}


def test_sensors_and_libraries_beside_the_config_are_used_without_a_folder(tmp_path: Path) -> None:
    write(tmp_path, {"sensors.py": "x = 1\n", "lib/driver.py": "y = 2\n", "notes.py": "for people"})
    assert own_code(tmp_path) == {"sensors.py": b"x = 1\n", "lib/driver.py": b"y = 2\n"}


def test_no_code_is_no_files(tmp_path: Path) -> None:
    assert own_code(tmp_path) == {}


@pytest.mark.parametrize("name", ["sensors.py", "lib/driver.py"])
def test_mistake_is_named_with_file_and_line(tmp_path: Path, name: str) -> None:
    write(tmp_path / "board", {name: "def read():\n    return {\n"})
    with pytest.raises(CommandError, match=rf"board/{name} line \d: SyntaxError"):
        own_code(tmp_path)


@pytest.mark.parametrize("name", ["main.py", "boot.py", "config.json", "lib/mqtt443/app.py"])
def test_file_with_the_name_of_one_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "board", {name: ""})
    with pytest.raises(CommandError, match="the program brings its own"):
        own_code(tmp_path)
