"""docs/reliability.md: every promise names a test, and every named test exists."""

import re

from mqtt443_tools.support.paths import ROOT

TEXT = (ROOT / "docs" / "reliability.md").read_text()


def named() -> list[tuple[str, str]]:
    """Return each named test as (file, function); `::name` alone is in the file named before it."""
    file, found = "", []
    for path, name in re.findall(r"`(tests/[\w/]+\.py)?::(\w+)`", TEXT):
        file = path or file
        found.append((file, name))
    return found


def test_every_named_test_exists() -> None:
    missing = [
        f"{file}::{name}"
        for file, name in named()
        if f"def {name}(" not in ((ROOT / file).read_text() if (ROOT / file).exists() else "")
    ]
    assert missing == []


def test_every_promise_has_a_test() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith(("| promise", "| ---"))]
    promises = [row for row in rows if row.count("|") == 3]
    assert len(promises) > 20
    assert [row for row in promises if "::" not in row] == []
