"""The import graph of the whole tree, read from the source: it has no circle, and every arrow points down.

Imports inside functions and under `TYPE_CHECKING` count too. `PARTS` is the architecture: a part may import the parts
that it names, all of them above it in the table, and nothing else of ours.
"""

import ast
import graphlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {"mqtt443": "firmware", "mqtt443_authorizer": "authorizer", "mqtt443_tools": "tools"}
"""Our packages, and the folder that holds each."""

PROGRAMS = ("mqtt443_tools.virtualboard.shims", "mqtt443_tools.virtualboard.startup", "mqtt443_tools.micropython.unix")
"""Not modules but programs: they run in an interpreter of their own, and share nothing with the code around them."""

TOOLS = "mqtt443_tools."
LOCALCORE = "mqtt443_tools.localcore."


class Part(NamedTuple):
    """A part: the other parts that it may import, and the beginnings of its modules' names."""

    below: tuple[str, ...]
    modules: tuple[str, ...]


OURS = ("firmware", "authorizer", "support")

# From the bottom up. A module belongs to the part that names the longest beginning of its name.
PARTS: Mapping[str, Part] = {
    "firmware": Part((), ("mqtt443",)),
    "authorizer": Part((), ("mqtt443_authorizer",)),
    "support": Part(("firmware", "authorizer"), ("mqtt443_tools", TOOLS + "support")),
    # The local AWS IoT Core
    "localcore.base": Part(
        ("authorizer", "support"),
        tuple(
            LOCALCORE + name
            for name in (
                *("clock", "drops", "events", "endpoint_file", "event_log", "faults", "history", "localcore_errors"),
                *("rate", "seen_clients", "setting_fields", "settings", "state_folder"),
            )
        ),
    ),
    "localcore.policy": Part(("support", "localcore.base"), (LOCALCORE + "policy",)),
    "localcore.function": Part(("support", "localcore.base"), (LOCALCORE + "function",)),
    "localcore.auth": Part(
        ("authorizer", "support", "localcore.base", "localcore.policy", "localcore.function"), (LOCALCORE + "auth",)
    ),
    "localcore.mqtt": Part(
        ("support", "localcore.base", "localcore.policy", "localcore.auth"),
        (LOCALCORE + "mqtt", LOCALCORE + "history_writer", LOCALCORE + "context"),
    ),
    "localcore.jobs": Part(("authorizer", "support", "localcore.base"), (LOCALCORE + "jobs",)),
    "localcore.control": Part(
        ("authorizer", "support", "localcore.base", "localcore.auth", "localcore.jobs", "localcore.mqtt"),
        (LOCALCORE + "control",),
    ),
    "localcore.front": Part(
        (
            *("authorizer", "support", "localcore.base", "localcore.auth", "localcore.jobs", "localcore.mqtt"),
            "localcore.control",
        ),
        (LOCALCORE + "front", "mqtt443_tools.localcore"),
    ),
    # Libraries
    "micropython": Part(("support",), (TOOLS + "micropython",)),
    "virtualboard": Part(("support", "micropython"), (TOOLS + "virtualboard",)),
    "cloud": Part(("authorizer", "support"), (TOOLS + "cloud",)),
    "device": Part(
        ("authorizer", "support", "cloud", "localcore.base", "localcore.control", "localcore.front"),
        (TOOLS + "device",),
    ),
    "flash": Part(("authorizer", "support"), (TOOLS + "flash",)),
    "push": Part((*OURS, "flash"), (TOOLS + "push",)),
    "factory": Part(("authorizer", "support", "device", "flash", "push"), (TOOLS + "factory",)),
    "check": Part(
        (
            *OURS,
            *("cloud", "localcore.base", "localcore.policy", "localcore.auth", "localcore.control", "localcore.front"),
        ),
        (TOOLS + "check",),
    ),
    "watch": Part(("support", "cloud"), (TOOLS + "watch",)),
    "load": Part(("support", "localcore.base", "localcore.mqtt"), (TOOLS + "load",)),
    "send": Part(("support", "cloud", "watch"), (TOOLS + "send",)),
    "update": Part((*OURS, "cloud", "localcore.control", "device"), (TOOLS + "update",)),
    "config": Part(("firmware", "support"), (TOOLS + "config",)),
    "console": Part(
        (
            *("authorizer", "support", "cloud", "device", "watch", "send", "update"),
            *("localcore.base", "localcore.control"),
        ),
        (TOOLS + "console", TOOLS + "console.__main__"),
    ),
    # What a person types: options in, a library called, an exit code out
    "commands": Part(
        (
            *OURS,
            *("localcore.base", "localcore.auth", "localcore.mqtt", "localcore.control", "localcore.front"),
            *("micropython", "virtualboard", "cloud", "device", "flash", "push", "factory", "check", "watch", "config"),
            *("send", "load", "console", "update"),
        ),
        (
            *(
                f"{TOOLS}{name}.{name}_command"
                for name in ("board", "check", "cloud", "config", "device", "factory", "flash")
            ),
            *(
                f"{TOOLS}{name}.{name}_command"
                for name in ("console", "load", "local", "monitor", "push", "send", "update", "watch")
            ),
            *(TOOLS + name for name in ("console.export_command", "device.rotate_command")),
            *(TOOLS + name for name in ("board", "local", "monitor", "run", "demo", "micropython.__main__")),
        ),
    ),
    "command line": Part(("support", "commands"), (TOOLS + "cli",)),
}


def modules() -> dict[str, Path]:
    """Return the file of each of our modules by the module's name."""
    found = {}
    for package, folder in SOURCES.items():
        for path in (ROOT / folder / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts).removesuffix(".__init__")
            if not name.startswith(PROGRAMS):
                found[name] = path
    return found


def imported(source: str, package: str) -> Iterator[tuple[str, str | None]]:
    """Yield what a source imports: a module, and the name taken from it if there is one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((base, alias.name) for alias in node.names)


def graph() -> dict[str, set[str]]:
    """Return which of our modules each of our modules imports."""
    ours = modules()
    arrows: dict[str, set[str]] = {name: set() for name in ours}
    for name, path in ours.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for base, member in imported(path.read_text(), package):
            target = f"{base}.{member}" if f"{base}.{member}" in ours else base
            if target.split(".")[0] in SOURCES:
                arrows[name].add(target)
    return arrows


def part_of(module: str) -> str:
    """Return the part that a module belongs to."""
    fitting = [
        (len(start), name)
        for name, part in PARTS.items()
        for start in part.modules
        if module == start or module.startswith(start + ".")
    ]
    assert fitting, f"{module} belongs to no part: add it to PARTS"
    return max(fitting)[1]


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """Return the modules of an import circle, empty if there is none."""
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("package", SOURCES)
def test_imports_form_no_circle(package: str) -> None:
    ours = {name: {to for to in arrows if to.split(".")[0] == package} for name, arrows in graph().items()}
    assert circle({name: arrows for name, arrows in ours.items() if name.split(".")[0] == package}) == []


def test_every_arrow_points_down_the_table() -> None:
    order = list(PARTS)
    wrong = {
        (name, other) for name, part in PARTS.items() for other in part.below if order.index(other) >= order.index(name)
    }
    assert wrong == set()


@pytest.mark.parametrize("name", PARTS)
def test_part_imports_only_what_the_table_allows(name: str) -> None:
    allowed = {name, *PARTS[name].below}
    wrong = sorted(
        f"{module} imports {other}, which is in {part_of(other)}"
        for module, arrows in graph().items()
        if part_of(module) == name
        for other in arrows
        if part_of(other) not in allowed
    )
    assert wrong == []


@pytest.mark.parametrize("name", PARTS)
def test_part_has_modules(name: str) -> None:
    assert [module for module in modules() if part_of(module) == name]


def test_base_names_of_tools_occur_once() -> None:
    names = [path.name for path in (ROOT / "tools").rglob("*.py") if path.name not in {"__init__.py", "__main__.py"}]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_only_tests_and_bench_import_tools() -> None:
    """Nor do documents' examples, or what goes to a board's root."""
    outside = [ROOT / "boot.py", ROOT / "main.py", *(ROOT / "docs").rglob("*.py"), *(ROOT / "firmware").rglob("*.py")]
    for path in outside:
        for base, _ in imported(path.read_text(), ""):
            assert base.split(".")[0] != "mqtt443_tools", path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b", [("a.b", None)]),
        ("from . import x", [("p.q", "x")]),
        ("from .x import y", [("p.q.x", "y")]),
        ("from ..x import y", [("p.x", "y")]),
        ("def f():\n    from a import b", [("a", "b")]),
        ("if TYPE_CHECKING:\n    import a", [("a", None)]),
    ],
)
def test_graph_sees_every_kind_of_import(source: str, expected: list[tuple[str, str | None]]) -> None:
    assert list(imported(source, "p.q")) == expected


def test_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
