"""Where things are: in a checkout the sources themselves, in an installed wheel the copies that its build put in.

A wheel carries the files that belong to no package in `mqtt443_tools/data`, laid out as in a checkout (see setup.py).
"""

import os
from importlib.resources import files
from pathlib import Path


def cache_folder() -> Path:
    """Return our folder in the user's cache (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mqtt443"


def _checkout() -> Path | None:
    root = Path(__file__).resolve().parents[3]
    return root if (root / "pyproject.toml").is_file() and (root / "firmware" / "mqtt443").is_dir() else None


CHECKOUT = _checkout()
"""The root of the checkout that this runs from; None in an installed wheel."""

ROOT = CHECKOUT or Path(str(files("mqtt443_tools") / "data"))
"""Holds boot.py, main.py, config.example.json, docs/config.md and firmware/image."""

FIRMWARE = Path(str(files("mqtt443")))
"""The device package, as source."""

BUILD = CHECKOUT / "build" if CHECKOUT else cache_folder()
"""Files that are built or fetched once: interpreters, umqtt."""

UMQTT = BUILD / "umqtt"
"""A folder for sys.path that holds the package `umqtt` once `fetch_umqtt` has put it there."""

STATE = Path(".mqtt443")
"""The local mode's default state folder, in the working directory."""
