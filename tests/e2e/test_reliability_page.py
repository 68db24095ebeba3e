"""docs/reliability.md and docs/updates.md: every promise names a test, and every named test exists."""

import re

import pytest
from mqtt443_tools.support.paths import ROOT

TEXT = (ROOT / "docs" / "reliability.md").read_text()
UPDATES = (ROOT / "docs" / "updates.md").read_text().partition("## What is guaranteed")[2].partition("\n## ")[0]


def named(text: str) -> list[tuple[str, str]]:
    """Return each named test as (file, function); `::name` alone is in the file named before it."""
    file, found = "", []
    for path, name in re.findall(r"`(tests/[\w/]+\.py)?::(\w+)`", text):
        file = path or file
        found.append((file, name))
    return found


@pytest.mark.parametrize("text", [TEXT, UPDATES], ids=["reliability", "updates"])
def test_every_named_test_exists(text: str) -> None:
    missing = [
        f"{file}::{name}"
        for file, name in named(text)
        if f"def {name}(" not in ((ROOT / file).read_text() if (ROOT / file).exists() else "")
    ]
    assert missing == []


@pytest.mark.parametrize(("text", "least"), [(TEXT, 20), (UPDATES, 15)], ids=["reliability", "updates"])
def test_every_promise_has_a_test(text: str, least: int) -> None:
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| promise", "| ---"))]
    promises = [row for row in rows if row.count("|") == 3]
    assert len(promises) > least
    assert [row for row in promises if "::" not in row] == []
