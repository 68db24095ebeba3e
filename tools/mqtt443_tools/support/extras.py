"""The command that installs missing packages: in a checkout, with a wheel, or with pipx."""

import re
import shlex
import sys
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import CHECKOUT

DISTRIBUTION = "mqtt443"


def install_command(extra: str) -> str:
    """Return the shell command that installs an extra where this program runs.

    Nothing is published on a package index, so it never names the distribution without saying where it is.

    Args:
        extra: "cloud", "load" or "test".
    """
    if CHECKOUT is not None:
        return shlex.join([sys.executable, "-m", "pip", "install", "--editable", f"{CHECKOUT}[{extra}]"])
    wanted = sorted(_requirements(requires(DISTRIBUTION) or (), extra))
    if (Path(sys.prefix) / "pipx_metadata.json").exists():
        return shlex.join(["pipx", "inject", DISTRIBUTION, *wanted])
    return shlex.join([sys.executable, "-m", "pip", "install", *wanted])


def missing_extra(what: str, extra: str) -> CommandError:
    """Return the error for a missing extra.

    Args:
        what: what needs it, such as "mqtt443 cloud".
        extra: its name.
    """
    return CommandError(f"{what} needs packages that are not installed: run {install_command(extra)}")


def _requirements(declared: Iterable[str], extra: str) -> Iterable[str]:
    """Yield the requirements of an extra, as pip takes them (core metadata, "Requires-Dist")."""
    for line in declared:
        requirement, _, marker = line.partition(";")
        if re.search(rf"""extra\s*==\s*['"]{re.escape(extra)}['"]""", marker):
            yield requirement.strip()
