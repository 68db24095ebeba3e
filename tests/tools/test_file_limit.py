"""The limit of open files is raised as far as the system allows, and bounds the connections."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
from mqtt443_tools.support.file_limit import raise_file_limit

resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
print(raise_file_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_soft_limit_becomes_the_hard_limit() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=40, check=True)
    assert done.stdout == "300 300 300\n"
