"""The page's modules: types, lint, unit tests, and the files of uPlot as npm has them."""

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from mqtt443_tools.support.paths import ROOT

PAGE = ROOT / "tools/mqtt443_tools/console/page"
MODULES = PAGE / "node_modules"
REASON = re.compile(r"[A-Z]+(_[A-Z]+)+|THROTTLED")
NEEDS = "run npm ci in tools/mqtt443_tools/console/page"


@pytest.mark.skipif(shutil.which("npm") is None or not MODULES.is_dir(), reason=NEEDS)
def test_types_lint_and_unit_tests_of_the_page_pass() -> None:
    result = subprocess.run(["npm", "run", "check"], cwd=PAGE, capture_output=True, text=True, timeout=110, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif(not MODULES.is_dir(), reason=NEEDS)
@pytest.mark.parametrize(
    ("shipped", "original"),
    [
        ("uPlot.esm.js", "dist/uPlot.esm.js"),
        ("uPlot.min.css", "dist/uPlot.min.css"),
        ("uPlot.esm.d.ts", "dist/uPlot.d.ts"),
        ("uPlot.LICENSE", "LICENSE"),
    ],
)
def test_shipped_uplot_is_that_of_npm(shipped: str, original: str) -> None:
    assert (PAGE / "vendor" / shipped).read_bytes() == (MODULES / "uplot" / original).read_bytes()


def test_shipped_uplot_names_its_version() -> None:
    version = json.loads((PAGE / "package.json").read_text())["devDependencies"]["uplot"]
    assert f"uPlot {version}, MIT" in (PAGE / "vendor" / "README.md").read_text()


def test_lock_file_names_no_host() -> None:
    packages = json.loads((PAGE / "package-lock.json").read_text())["packages"]
    assert [name for name, entry in packages.items() if "resolved" in entry] == []


def test_page_refers_to_nothing_elsewhere() -> None:
    """The Content-Security-Policy forbids it too; the namespace of SVG is a name, and the live connection is ours."""
    ours = ("http://www.w3.org/2000/svg", "ws://${location.host}/live")
    for path in [PAGE / "index.html", PAGE / "app.css", PAGE / "vendor" / "uPlot.min.css", *(PAGE / "js").glob("*.js")]:
        content = path.read_text()
        for each in ours:
            content = content.replace(each, "")
        assert "://" not in content, path


def test_every_reason_that_the_endpoint_gives_has_an_advice() -> None:
    advice = (PAGE / "js" / "advice.js").read_text()
    known = set(re.findall(r"^  ([A-Z_]+): \"", advice, re.MULTILINE))
    assert reasons() - known == set()


def reasons() -> set[str]:
    """Return the reasons of events that are no success, as the endpoint's code names them."""
    found: set[str] = set()
    for folder in ("front", "mqtt", "auth", "control"):
        for path in (ROOT / "tools/mqtt443_tools/localcore" / folder).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                found |= set(_constants(node))
    assert {"SUBSCRIBE_REFUSED", "TLS_ERROR", "MESSAGE_EXPIRED", "CONNECT_TIMEOUT"} <= found
    return found - {"CLIENT_INITIATED_DISCONNECT", "CONNECTED", "HTTP_PUBLISH"}


def _constants(node: ast.AST) -> Iterator[str]:
    """Yield the words in capitals among the arguments of a call, or in a tuple that is returned."""
    match node:
        case ast.Call(args=values, keywords=named):
            values = [*values, *(each.value for each in named)]
        case ast.Return(value=ast.Tuple(elts=values)):
            pass
        case _:
            return
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and REASON.fullmatch(value.value):
            yield value.value
