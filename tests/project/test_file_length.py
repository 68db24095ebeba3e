"""Every file of ours is short enough to read at a sitting (CONTRIBUTING.md, "Style")."""

import subprocess

from mqtt443_tools.support.paths import ROOT

MAX_LINES = 300
ENDINGS = (".py", ".pyi", ".js", ".css", ".html", ".sh", ".c", ".h")
UPSTREAM = "tools/mqtt443_tools/console/page/vendor/"
"""Libraries of others, as published."""


def test_no_file_has_more_than_300_lines() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=20)
    ours = [name for name in listed.stdout.splitlines() if name.endswith(ENDINGS) and not name.startswith(UPSTREAM)]
    assert len(ours) > 500
    lines = {name: len((ROOT / name).read_text().splitlines()) for name in ours if (ROOT / name).exists()}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}
