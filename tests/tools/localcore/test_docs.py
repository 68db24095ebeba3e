"""docs/localcore.md says what settings.py says; its tables are made from the fields, and compared here."""

import dataclasses

import pytest
from mqtt443_tools.localcore.faults import Fault
from mqtt443_tools.localcore.settings import Settings
from mqtt443_tools.support.paths import ROOT

DOCUMENT = (ROOT / "docs" / "localcore.md").read_text()


def table(kind: str) -> str:
    """Return the Markdown table of one kind of field."""
    rows = ["| setting | default | why |", "| --- | --- | --- |"]
    for field in dataclasses.fields(Settings):
        if field.metadata["kind"] == kind:
            default = "none" if field.default is None else str(field.default)
            default = default.lower() if isinstance(field.default, bool) else default
            choices = [str(choice).lower() for choice in field.metadata["choices"] if choice != field.default]
            also = f" (or {', '.join(choices)})" if choices else ""
            rows.append(f"| `{field.name}` | {default}{also} | {field.metadata['why']} |")
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("kind", ["place", "limit", "undocumented", "guard"])
def test_table_of_settings_is_in_the_document(kind: str) -> None:
    assert table(kind) in DOCUMENT, f"docs/localcore.md should hold:\n{table(kind)}"


def test_every_fault_is_in_the_document() -> None:
    assert [fault for fault in Fault if f"| `{fault}` |" not in DOCUMENT] == []
