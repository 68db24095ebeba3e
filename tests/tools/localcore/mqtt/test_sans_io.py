"""The MQTT engine does no I/O: it awaits nothing and knows no event loop, sockets or threads."""

import ast
from pathlib import Path

import pytest
from mqtt443_tools.support.paths import ROOT

FOLDER = ROOT / "tools" / "mqtt443_tools" / "localcore" / "mqtt"
IO_MODULES = {"asyncio", "socket", "ssl", "select", "selectors", "threading", "subprocess", "time"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_module_awaits_nothing_and_imports_no_io(path: Path) -> None:
    tree = ast.parse(path.read_text())
    waits = [node for node in ast.walk(tree) if isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncWith))]
    assert waits == []
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported & IO_MODULES == set()
