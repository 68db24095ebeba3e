"""Refuses commands that need Linux or macOS on other systems."""

from importlib import import_module

from mqtt443_tools.support.errors import CommandError

MODULES = ("fcntl", "termios")


def needs_posix(command: str) -> None:
    """Refuse a command on a system without POSIX.

    Args:
        command: as it is typed.

    Raises:
        CommandError: this is Windows.
    """
    try:
        for name in MODULES:
            import_module(name)
    except ImportError:
        raise CommandError(f"{command} needs Linux or macOS: on Windows, run it in WSL") from None
