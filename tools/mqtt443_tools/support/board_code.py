"""The user's own code for a board: sensors.py, lib/ and the packages of a requirements.txt.

They are in a folder `board/` beside config.json, or directly beside it. Every module is compiled once, so that mistakes
are found here and not on the board.
"""

from pathlib import Path, PurePosixPath

from mqtt443_tools.support.board_packages import REQUIREMENTS, required
from mqtt443_tools.support.compile_mpy import check_source
from mqtt443_tools.support.config_text import BYTE_ORDER_MARK
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.read_file import read_file

BOARD_FOLDER, LIBRARIES, SENSORS = "board", "lib", "sensors.py"
OURS = ("boot.py", "main.py", "config.json", "push.json", "lib/mqtt443")
MAX_FILE_BYTES = 1024 * 1024
MAX_FILES = 500


def own_code(beside: Path, *, check: bool = True) -> dict[str, bytes]:
    """Return the user's files by their path on the board; empty if there are none.

    Args:
        beside: the folder of config.json. All files in its folder `board/` belong to the board; without that folder,
            sensors.py and the files in lib/ do. Packages named in a requirements.txt there go into lib/, see
            `board_packages`.
        check: compile every module; False for a virtual board, which shows what a real one would do.

    Raises:
        CommandError: a module does not compile (the text names file, line and reason), a file cannot be read, or has
            the name of one of ours.
    """
    folder = beside / BOARD_FOLDER
    if folder.is_dir():
        paths = [path for path in _files(folder) if path != folder / REQUIREMENTS]
    else:
        folder = beside
        paths = [path for path in (beside / SENSORS,) if path.exists()] + _files(beside / LIBRARIES)
    found = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if _is_ours(name):
            raise CommandError(f"{path}: the program brings its own {name}; give the file another name")
        found[name] = _module(path, read_file(path, MAX_FILE_BYTES), check=check)
    requirements = folder / REQUIREMENTS
    for name, content in (required(requirements) if requirements.is_file() else {}).items():
        if name in found or _is_ours(name):
            raise CommandError(f"{requirements}: a package brings {name}, which is there already; delete one of them")
        found[name] = _module(Path(f"{requirements}: {name}"), content, check=check)
    return found


def _is_ours(name: str) -> bool:
    return any(name == ours or name.startswith(ours + "/") for ours in OURS)


def _module(path: Path, content: bytes, *, check: bool) -> bytes:
    """Return the content of a file for the board; compile a module to check it. Raises CommandError."""
    if path.suffix == ".py":
        content = content.removeprefix(BYTE_ORDER_MARK)
        if check:
            check_source(path, content)
    return content


def _files(folder: Path) -> list[Path]:
    """Return the files below a folder, without those that editors and CPython leave there."""
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        parts = PurePosixPath(path.relative_to(folder)).parts
        if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in parts):
            found.append(path)
            if len(found) > MAX_FILES:
                raise CommandError(f"{folder}: more than {MAX_FILES} files, too many for a board")
    return found
