"""Importing the handler loads only light modules of the standard library, and never the AWS SDK."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
before = set(sys.modules)
import mqtt443_authorizer.handler
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
HEAVY = {
    "inspect",
    "asyncio",
    "dataclasses",
    "random",
    "secrets",
    "tempfile",
    "logging",
    "email",
    "http",
    "socket",
    "ssl",
    "subprocess",
    "sqlite3",
}


def test_handler_imports_only_light_standard_modules() -> None:
    # -S: without site-packages, like a bare Lambda; -I would hide the package itself.
    result = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM],
        cwd=Path(__file__).parents[2] / "authorizer",
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    imported = set(result.stdout.split())
    assert imported - sys.stdlib_module_names == {"mqtt443_authorizer"}
    assert not imported & HEAVY
