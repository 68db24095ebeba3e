"""The documentation: README.md and docs/localcore.md run as shown, on a free port; every link leads somewhere."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools import cli
from mqtt443_tools.support.paths import ROOT
from typer.main import get_command

Shell = Callable[[str], "subprocess.Popen[str]"]

# test_commands.py runs the module behind `make demo`; `make test` runs this file.
BY_OTHERS = {"make demo\n", "make test\n"}


def blocks(document: str, language: str = "sh") -> list[str]:
    """Return the unmarked blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like a checkout without untracked files."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=20)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (tmp_path / ".git" / "info" / "exclude").write_text("/.venv\n/docs\n/.gitignore\n")
    (tmp_path / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    return tmp_path


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
        return number


def kill(process: subprocess.Popen[str]) -> None:
    """End what is left of a block; the group is gone if all of it has ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def shell(folder: Path, port: int) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Run a block of a page as shown, except for the port; whatever still runs is killed after the test."""
    with ExitStack() as stack:

        def shell(script: str) -> subprocess.Popen[str]:
            options = f"--port {port} --set connect_rate_per_s=0"
            script = re.sub("mqtt443 local(?! fault)", f"mqtt443 local {options}", script)
            script = re.sub(r"(mqtt443 device add .*--out \S+)", rf"\1 --port {port}", script)
            process = subprocess.Popen(
                ["bash", "-ec", script.replace("8443", str(port))],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            stack.enter_context(process)
            stack.callback(kill, process)
            return process

        yield shell


def first_line(process: subprocess.Popen[str], pattern: str) -> str:
    """Return the first line that matches a pattern; fail if the command ends without one."""
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if re.search(pattern, line):
            return line
    raise AssertionError(f"never said {pattern!r} but:\n{''.join(said)}")


def untracked(folder: Path) -> str:
    """Return what `git add .` would put into a repository."""
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=20).stdout


def test_readme_leads_from_a_device_to_its_telemetry(shell: Shell, folder: Path, port: int) -> None:
    local, watch, board = (block for block in blocks("README.md") if block not in BY_OTHERS)
    first_line(shell(local), f"^ready host=localhost port={port} ")
    arrives = shell(watch)
    shell(board)
    first_line(arrives, r'^\d\d:\d\d:\d\d telemetry/my-board {"time"')
    assert (folder / "config.json").is_file() and (folder / ".mqtt443" / ".gitignore").is_file()
    assert untracked(folder) == ""


def test_localcore_page_lets_a_laptop_publish(shell: Shell, folder: Path, port: int) -> None:
    local, laptop, _, _ = blocks("docs/localcore.md")
    first_line(shell(local), f"^ready host=localhost port={port} ca={folder}/.mqtt443/ca.pem$")
    watch = shell(".venv/bin/mqtt443 watch --count 1\n")
    shell(laptop)
    first_line(watch, r"telemetry/myClientName \d{4}-")


def test_localcore_page_switches_faults(shell: Shell, port: int) -> None:
    local, _, faults, _ = blocks("docs/localcore.md")
    (python,) = blocks("docs/localcore.md", "python")
    first_line(shell(local), f"^ready host=localhost port={port} ")
    said, _ = shell(f"{faults}.venv/bin/python - <<END\n{python}END\n.venv/bin/mqtt443 local fault").communicate()
    for line in "kitchen: lose-pubacks: .*", "kitchen: lose-pubacks, has acted 0 times", "no faults are on":
        assert re.search(f"^{line}$", said, re.MULTILINE), said
    assert said.endswith("\nkitchen: stall, has acted 0 times\n"), said


def test_localcore_page_allows_shadows(shell: Shell, folder: Path, port: int) -> None:
    *_, local = blocks("docs/localcore.md")
    documents = [json.loads(block) for block in blocks("docs/localcore.md", "json")]
    default = json.loads((ROOT / "authorizer" / "mqtt443_authorizer" / "policy.json").read_text())
    (folder / "my-policy.json").write_text(json.dumps([*default, *documents]))
    first_line(shell(local), f"^ready host=localhost port={port} ")
    with zipfile.ZipFile(folder / "authorizer.zip") as deployed:
        policies = [file for file in deployed.namelist() if file.endswith("policy.json")]
        assert [json.loads(deployed.read(file))[len(default) :] for file in policies] == [documents]


PAGES = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
EXAMPLES = sorted(path.relative_to(ROOT) for path in ROOT.glob("examples/*/README.md"))
RUN = {"README.md", "docs/localcore.md"}  # block by block, by the tests above
RUN_ELSEWHERE = {"docs/commands.md": "test_commands_page.py", "docs/image.md": "../firmware/image/test_image.py"}
# What the commands of a marked block need, and why no test runs them as they stand.
MARKS = {
    "board": "a board on USB",
    "account": "an AWS account",
    "container": "Docker",
    "wheel": "pipx; tests/project/test_wheel.py builds the wheel and installs it",
    "fleet": "half a minute of all processors; tests/tools/load runs smaller fleets",
    "image": "images; run by tests/firmware/image/test_image.py",
    "contributor": "minutes; checked below",
    "bench": "minutes",
}


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=str)
def test_command_is_run_or_says_what_it_needs(page: Path) -> None:
    marks = set(re.findall(r"^```sh ?(.*)$", (ROOT / page).read_text(), re.MULTILINE))
    assert marks - {""} <= MARKS.keys()
    assert "" not in marks or str(page) in RUN | RUN_ELSEWHERE.keys()
    if str(page) in RUN_ELSEWHERE:
        assert page.name in (Path(__file__).parent / RUN_ELSEWHERE[str(page)]).read_text()


def test_contributors_commands_exist() -> None:
    text = "".join(re.findall(r"^```sh contributor\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.M | re.S))
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make (\w+)", text, re.MULTILINE)
    assert targets and all(f"\n{target}:" in makefile for target in targets)
    (test,) = re.findall(r"pytest -n 0 '(.*)'", text)
    command = [sys.executable, "-m", "pytest", "-n", "0", "--collect-only", "-q", test]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert test in done.stdout.splitlines(), done.stdout + done.stderr


def typed(page: Path) -> Iterator[list[str]]:
    """Yield the words after `mqtt443` of every command of ours on a page, in blocks and in the text."""
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^```\w*.*?\n(.*?)^```|^((?:    .*\n)+)", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in "".join(block).splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]
    for line in [*lines, *spans]:
        for command in re.split(r" (?:&&|\||>) ", line):
            if found := re.match(r"(?:next: )?(?:\.venv/bin/)?mqtt443 (?!on ESP32)(.*)", command):
                yield shlex.split(found[1].removesuffix(" ..."), comments=True)


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=str)
def test_command_and_options_exist(page: Path) -> None:
    for words in typed(page):
        command: Any = get_command(cli.app)
        names, rest = [], list(words)
        while rest and rest[0] in getattr(command, "commands", {}):
            names.append(rest.pop(0))
            command = command.commands[names[-1]]
        known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
        options = [word.partition("=")[0].rstrip(",") for word in rest if word.startswith("--")]
        assert names or not rest or rest[0] in ("--help", "--version"), f"mqtt443 {shlex.join(words)}"
        assert set(options) - {"--help", "--version"} <= known, f"mqtt443 {shlex.join(words)}"


def test_contract_names_every_command() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("### Commands are a contract")[2].partition("\n## ")[0]
    cells = " ".join(re.findall(r"^\| `mqtt443 (.*?) \|", table, re.MULTILINE))
    assert sorted(re.findall(r"\w+", cells.replace("mqtt443", ""))) == sorted(get_command(cli.app).commands)  # type: ignore[attr-defined]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes from the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_link_leads_somewhere(page: Path) -> None:
    for target, _, anchor in re.findall(r"\]\(([^)#]*)(#([^)]+))?\)", (ROOT / page).read_text()):
        if not target.startswith("https://"):
            linked = ROOT / page.parent / target if target else ROOT / page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"


def test_index_lists_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert [
        page for page in PAGES if page.parts[0] == "docs" and page.name != "README.md" and page.name not in index
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_file_that_is_named_exists(page: Path) -> None:
    named = re.findall(
        r"`((?:firmware|authorizer|tools|tests|bench|docs|\.github|\.ci)/[\w./-]*)[`:]", (ROOT / page).read_text()
    )
    made = ("bench/results",)  # by `make bench`
    assert [name for name in named if not name.startswith(made) and not (ROOT / name).exists()] == []


def test_modules_on_the_way_of_a_reading_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    modules = re.findall(r"^\| \d \| `(\w+\.py)`|\(`(\w+\.py)`\)", text, re.MULTILINE)
    packages = re.findall(r"^\| `(\w+)` \| ", text.split("| package in `localcore`")[1].split("\n## ")[0], re.MULTILINE)
    assert len(modules) > 7 and len(packages) == 7
    firmware, localcore = ROOT / "firmware" / "mqtt443", ROOT / "tools" / "mqtt443_tools" / "localcore"
    assert [name for pair in modules for name in pair if name and not (firmware / name).exists()] == []
    assert [name for name in packages if not (localcore / name).is_dir()] == []
    methods = re.findall(r"`(Sender|App)\.(\w+)`", text)
    assert {kind for kind, _ in methods} == {"Sender", "App"}
    assert [f"{k}.{m}" for k, m in methods if f"def {m}(" not in (firmware / f"{k.lower()}.py").read_text()] == []
