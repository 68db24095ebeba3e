"""The files of a board: our program, one config with its CA, the user's sensors.py.

The board's own code checks the config and the CA file. push.py and bundle.py put the files onto the board.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mqtt443_tools.support.amazon_roots import amazon_roots
from mqtt443_tools.support.board_code import MAX_FILE_BYTES, own_code
from mqtt443_tools.support.compile_mpy import HOST_ONLY, compile_package
from mqtt443_tools.support.config_file import MAX_BYTES as MAX_CONFIG_BYTES
from mqtt443_tools.support.config_file import load_ca, load_config
from mqtt443_tools.support.config_text import BYTE_ORDER_MARK
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import FIRMWARE, ROOT
from mqtt443_tools.support.read_file import read_file

PACKAGE = "lib/mqtt443"
CONFIG = "config.json"
PROGRAM = ("boot.py", "main.py")
AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn")


@dataclass(frozen=True)
class Settings:
    """A valid config.json: its bytes, its key `ca`, its endpoint and client id, and when the file changed."""

    content: bytes
    ca: str
    endpoint: str
    client_id: str
    modified: int


def read_settings(path: Path) -> Settings:
    """Read and validate a config.json. Raises CommandError with the board's own line."""
    try:
        checked = load_config(path)
        content, modified = read_file(path, MAX_CONFIG_BYTES), int(path.stat().st_mtime)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except CommandError as error:
        raise CommandError(f"{error}; nothing was sent") from error
    # Boards with an older mqtt443 refuse the mark.
    content = content.removeprefix(BYTE_ORDER_MARK)
    return Settings(content, checked.ca, checked.endpoint, checked.client_id, modified)


def own_files(path: Path, settings: Settings) -> dict[str, bytes]:
    """Return the files of one board: config.json, its CA file, and the user's own code, see `own_code`.

    Raises CommandError.
    """
    try:
        code = own_code(path.parent)
    except CommandError as error:
        raise CommandError(f"{error}; nothing was sent") from error
    return {**code, CONFIG: settings.content, settings.ca: _ca(path.parent, settings)}


def program(*, source: bool, arch: str | None = None, package: bool = True) -> dict[str, bytes]:
    """Return boot.py, main.py and the device package.

    Args:
        source: the package as .py files; else compiled.
        arch: of the board, for mpy-cross.
        package: False to leave it out, for an image that has it frozen in.

    Raises:
        CommandError: a file does not compile.
    """
    files = {name: _read(ROOT / name) for name in PROGRAM}
    if package and source:
        modules = {path.name: _read(path) for path in sorted(FIRMWARE.glob("*.py")) if path.name not in HOST_ONLY}
    elif package:
        with tempfile.TemporaryDirectory(prefix="mqtt443-mpy-") as folder:
            compile_package(FIRMWARE, Path(folder), arch)
            modules = {path.name: _read(path) for path in sorted(Path(folder).iterdir())}
    else:
        modules = {}
    return files | {f"{PACKAGE}/{name}": content for name, content in modules.items()}


def folders(files: Mapping[str, object]) -> list[str]:
    """Return the folders that these files need, parents first."""
    found = {str(parent) for name in files for parent in PurePosixPath(name).parents} - {"."}
    return sorted(found)


def _ca(folder: Path, settings: Settings) -> bytes:
    name = PurePosixPath(settings.ca)
    if name.is_absolute() or ".." in name.parts:
        raise CommandError(f"ca: {settings.ca} must be in the folder of the config file; nothing was sent")
    if (folder / name).exists():
        try:
            load_ca(folder / name)
        except CommandError as error:
            raise CommandError(f"{error}; nothing was sent") from error
        return _read(folder / name)
    if settings.endpoint.endswith(AWS_DOMAINS):
        return amazon_roots()
    raise CommandError(
        f"ca: {folder / name} does not exist: put the root certificate of {settings.endpoint} there "
        "(only for AWS's endpoints this command brings its own); nothing was sent"
    )


def _read(path: Path) -> bytes:
    return read_file(path, MAX_FILE_BYTES)
