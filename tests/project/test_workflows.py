"""The workflows of .github: valid, pinned, with few permissions and time limits; the matrix is what pyproject says."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from mqtt443_tools.support.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: (?:\./\S+|[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+)$")
WRITES = {("release.yml", "publish"): {"contents": "write"}}


def load(path: Path) -> dict[str, Any]:
    workflow: dict[str, Any] = yaml.safe_load(path.read_text())
    return workflow


def jobs() -> list[Any]:
    return [
        pytest.param(path, name, job, id=f"{path.stem}-{name}")
        for path in WORKFLOWS
        for name, job in load(path)["jobs"].items()
    ]


def test_workflow_fits_the_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *map(str, WORKFLOWS)], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout
    assert len(WORKFLOWS) == 3


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_may_only_read_by_default(path: Path) -> None:
    assert load(path)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_action_is_pinned_by_its_commit(path: Path) -> None:
    uses = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if "uses:" in line]
    assert [line for line in uses if not PINNED.fullmatch(line)] == []


def test_action_has_the_same_commit_everywhere() -> None:
    found = re.findall(r"uses: ([\w.-]+/[\w./-]+)@(\S+)  # (\S+)", "".join(path.read_text() for path in WORKFLOWS))
    assert len(found) > len({name for name, *_ in found}) == len(set(found))


@pytest.mark.parametrize(("path", "name", "job"), jobs())
def test_job_has_a_time_limit_and_no_more_permissions_than_it_needs(path: Path, name: str, job: dict[str, Any]) -> None:
    assert job.get("permissions", {}) == WRITES.get((path.name, name), {})
    assert "uses" in job or 1 <= job["timeout-minutes"] <= 60


@pytest.mark.parametrize(("path", "name", "job"), jobs())
def test_script_is_valid_and_interpolates_no_foreign_text(path: Path, name: str, job: dict[str, Any]) -> None:
    for step in job.get("steps", []):
        script = step.get("run", "")
        # An expression is pasted into the script: a branch named `$(…)` would run. Only our own matrix may be.
        assert set(re.findall(r"\$\{\{ *([\w.-]+)", script)) <= {"matrix.board"}
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        if "checkout@" in step.get("uses", ""):
            assert step["with"] == {"persist-credentials": False}


def test_target_of_make_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    scripts = "".join(path.read_text() for path in [*WORKFLOWS, ROOT / ".ci" / "run"])
    targets = re.findall(r"\bmake (?:--\S+ )*([\w./]+)$", scripts, re.MULTILINE)
    assert {"lint", "unit", ".venv/.demo"} < set(targets)
    assert [target for target in targets if not re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE)] == []


def test_hooks_are_valid_and_name_what_exists() -> None:
    config = ROOT / ".pre-commit-config.yaml"
    programs = Path(sys.executable).parent
    subprocess.run([programs / "pre-commit", "validate-config", config], check=True, timeout=50)
    for hook in (each for repo in yaml.safe_load(config.read_text())["repos"] for each in repo["hooks"]):
        program, *arguments = hook["entry"].split()
        assert program.startswith(".venv/bin/") and (programs / Path(program).name).exists(), hook
        for argument in (each for each in arguments if each.startswith("tests/")):
            path, _, test = argument.partition("::")
            assert f"def {test}" in (ROOT / path).read_text(), argument


def test_matrix_begins_with_the_oldest_supported_python() -> None:
    versions = load(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["unit"]["strategy"]["matrix"]["python"]
    assert f'requires-python = ">={versions[0]}"' in (ROOT / "pyproject.toml").read_text()
    assert versions == [f"3.{minor}" for minor in range(11, 11 + len(versions))]
