"""`mqtt443 update` against the local endpoint and whole boards: what is sent is what the board then has."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.localcore.jobs.jobs_database import JOBS_FILE, open_jobs_database

from tests.support.board.interpreters import need
from tests.support.board.virtual import Board
from tests.support.mqtt.endpoint import RunningCore

MQTT443 = str(Path(sys.executable).with_name("mqtt443"))
WAIT_S = 120


@pytest.fixture
def endpoint(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningCore]:
    """An endpoint; its parameter is how long a minute of a rollout is, in seconds."""
    with RunningCore(tmp_path / "state", job_minute_s=getattr(request, "param", 1)) as core:
        yield core


def update(core: RunningCore, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [MQTT443, "update", *arguments, "--state", str(core.state)]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False, **options)


class Fleet:
    """Boards with `updates` on."""

    def __init__(self, core: RunningCore, folder: Path, stack: ExitStack) -> None:
        self._core = core
        self._folder = folder
        self._stack = stack

    def add(self, client_id: str, interpreter: str = "alpn", **config: Any) -> Board:
        password = self._core.add_device(client_id)
        folder = self._folder / client_id
        folder.mkdir()
        login = {"client_id": client_id, "username": client_id, "password": password, "transport": "alpn"}
        board = Board(
            folder,
            need(interpreter),
            self._core.ca.read_bytes(),
            compiled=True,
            port=self._core.port,
            updates=True,
            **{"max_message_bytes": 1024, "timeout_s": 10, **login, **config},
        )
        self._stack.enter_context(board)
        board.wait_for(" published ")
        return board

    def stored(self, board: Board) -> dict[str, Any]:
        """Return the config.json on a board."""
        return dict(json.loads((board.root / "config.json").read_text().splitlines()[0]))


@pytest.fixture
def fleet(endpoint: RunningCore, tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(endpoint, tmp_path, stack)


def test_restart_of_a_board_is_done_once(endpoint: RunningCore, fleet: Fleet) -> None:
    board = fleet.add("hall-1")
    done = update(endpoint, "hall-1", "--restart")
    assert done.returncode == 0, done.stderr + "\n".join(board.lines)
    assert "restart" in done.stdout.splitlines()[0]
    assert [line.split() for line in done.stdout.splitlines()[-2:]] == [
        ["client", "id", "result", "reason"],
        ["hall-1", "done"],
    ]
    assert len(board.virtual.resets) == 2


def test_new_config_reaches_boards_one_after_the_other(endpoint: RunningCore, fleet: Fleet) -> None:
    boards = [fleet.add(f"hall-{number}") for number in range(1, 4)]
    done = update(
        endpoint, "--all", "--config", "interval_s=2", "--config", "topic=telemetry/{client_id}/t", "--yes", "--json"
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["counts"] == {"done": 3}
    assert {each["client_id"]: each["result"] for each in answer["boards"]} == {
        f"hall-{n}": "done" for n in range(1, 4)
    }
    for board in boards:
        config = fleet.stored(board)
        assert (config["interval_s"], config["topic"]) == (2, "telemetry/{client_id}/t")


@pytest.mark.parametrize("endpoint", [60], indirect=True)
def test_bad_config_costs_one_board_a_failed_job(endpoint: RunningCore, fleet: Fleet) -> None:
    boards = [fleet.add(f"hall-{number}") for number in range(1, 4)]
    done = update(endpoint, "--all", "--config", "port=1", "--within", "10", "--yes", "--json")
    assert done.returncode == 1
    assert "was cancelled" in done.stderr
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["counts"]) == ("CANCELED", {"failed": 1})
    assert answer["boards"][0]["details"]
    for board in boards:
        assert fleet.stored(board)["port"] == endpoint.port
        assert endpoint.next_message()


def test_update_that_cannot_be_is_refused_before_a_job_exists(endpoint: RunningCore) -> None:
    endpoint.add_device("hall-1")
    for arguments, message in (
        (["hall-1"], "choose one update"),
        (["hall-1", "--restart", "--package"], "choose one update"),
        (["hall-2", "--restart"], "hall-2: not registered"),
        (["--restart"], "name devices, or add --all"),
        (["hall-1", "--config", "interval_s=0"], "interval_s"),
        (["hall-1", "--config", "interval_s"], "expected KEY=VALUE"),
        (["hall-1", "--config", "nonsense=1"], "not a key of config.json"),
        (["hall-1", "--config", "client_id=x"], "names the Thing"),
        (["hall-1", "--config", "password=x"], "device rotate"),
        (["hall-1", "--unset", "endpoint"], "has no default"),
        (["hall-1", "--config", ""], "--config: expected KEY=VALUE"),
        (["hall-1", "--config", "interval_s=1", "--config", "interval_s=2"], "interval_s is set twice"),
        (["hall-1", "--restart", "--within", "20"], "--within goes with --config or --unset"),
        (["hall-1", "--restart", "--folder", "x"], "--folder goes with --sensors"),
        (["--cancel", "nothing", "--dry-run"], "name a job and nothing else: leave out --dry-run"),
        (["--status", "nothing", "--follow", "9"], "name a job and nothing else: leave out --follow"),
        (["hall-1", "--config", "wifi.password=-"], "wifi.password=-: standard input ends before the line"),
        (["hall-1", "--file", "nothing.py"], "nothing.py: No such file"),
        (["hall-1", "--file", "nothing.py:boot.py"], "boot.py: never replaced over the air"),
        (["hall-1", "--delete", "config.json"], "config.json: change its keys with --config"),
        (["--status", "nothing"], "there is no job nothing"),
        (["--status", "a b"], "'a b': not the name of a job"),
        (["--cancel", ""], "'': not the name of a job"),
    ):
        done = update(endpoint, *arguments, stdin=subprocess.DEVNULL)
        assert done.returncode in {1, 2}, arguments
        assert message in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_dry_run_shows_what_would_change_on_each_board(endpoint: RunningCore, fleet: Fleet) -> None:
    fleet.add("hall-1")
    endpoint.add_device("hall-2")
    assert update(endpoint, "hall-1", "--config", "interval_s=2").returncode == 0
    wanted = ("--all", "--config", "interval_s=3", "--dry-run")
    shown = update(endpoint, *wanted)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines() == [
        "config: interval_s=3",
        "to hall-1, hall-2",
        "would change, as far as is known (a push with the cable leaves no trace):",
        "  1 of 2: interval_s 2 -> 3: hall-1",
        "  1 of 2: unknown: no earlier update set it: hall-2",
    ]
    assert json.loads(update(endpoint, *wanted, "--json").stdout)["changes"] == [
        {"devices": ["hall-1"], "change": "interval_s 2 -> 3"},
        {"devices": ["hall-2"], "change": "unknown: no earlier update set it"},
    ]
    assert left(endpoint)["jobs"] == 1
    endpoint.stop()
    without = update(endpoint, *wanted)
    assert (without.returncode, len(without.stdout.splitlines())) == (0, 2)
    assert without.stderr.startswith("what would change is not known: ")


@pytest.fixture
def with_ctrl_c() -> Iterator[None]:
    """Let commands take Ctrl-C, which they ignore if the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("with_ctrl_c")
def test_ctrl_c_leaves_the_job_running_and_says_how_to_go_on(endpoint: RunningCore) -> None:
    endpoint.add_device("hall-1")
    command = [MQTT443, "update", "hall-1", "--restart", "--state", str(endpoint.state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(4)]  # until it follows the job
        job_id = lines[2].split()[1].rstrip(";")
        running.send_signal(signal.SIGINT)
        try:
            _, stderr = running.communicate(timeout=WAIT_S / 4)
        finally:
            running.kill()
    assert lines[3] == "in progress: 1 waiting\n"
    assert running.returncode == 130, stderr
    status, cancel = (
        f"mqtt443 update {option} {job_id} --state {endpoint.state}" for option in ("--status", "--cancel")
    )
    assert stderr.splitlines()[0] == f"the job continues; see it with `{status}`, end it with `{cancel}`"
    assert "Traceback" not in stderr
    assert update(endpoint, *status.split()[2:4], "--json").returncode == 0
    assert "cancelled" in update(endpoint, *cancel.split()[2:4]).stdout
    again = update(endpoint, *cancel.split()[2:4])
    assert (again.returncode, len(again.stderr.splitlines())) == (0, 0)


def test_job_that_nobody_has_taken_can_be_seen_and_cancelled(endpoint: RunningCore) -> None:
    endpoint.add_device("hall-1")
    begun = update(endpoint, "hall-1", "--restart", "--follow", "0", "--json")
    assert begun.returncode == 0, begun.stderr
    answer = json.loads(begun.stdout)
    assert answer["counts"] == {"waiting": 1}
    assert json.loads(update(endpoint, "--status", answer["job"], "--json").stdout)["status"] == "IN_PROGRESS"
    cancelled = update(endpoint, "--cancel", answer["job"])
    assert (cancelled.returncode, cancelled.stderr) == (0, "")
    assert f"job {answer['job']} was cancelled" in cancelled.stdout
    assert ["hall-1", "cancelled"] in [line.split() for line in cancelled.stdout.splitlines()]


def test_secret_value_is_read_from_standard_input_and_not_shown(endpoint: RunningCore) -> None:
    endpoint.add_device("hall-1")
    done = update(endpoint, "hall-1", "--config", "wifi.password=-", "--follow", "0", input="hunter2-hunter2\n")
    assert done.returncode == 0, done.stderr
    assert "wifi.password=***" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


def test_secret_value_on_the_command_line_is_refused(endpoint: RunningCore) -> None:
    endpoint.add_device("hall-1")
    for arguments, message in (
        (["wifi.password=hunter2-hunter2"], "write wifi.password=- and type the value"),
        (["wifi.password:hunter2-hunter2"], "--config: expected KEY=VALUE"),
        (["wifi.password", "hunter2-hunter2"], "wifi.password: expected wifi.password=-"),
    ):
        refused = update(endpoint, "hall-1", "--config", *arguments)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "hunter2" not in refused.stdout + refused.stderr


def left(core: RunningCore) -> dict[str, int]:
    """Count what is left of jobs in the endpoint."""
    with closing(open_jobs_database(core.state / JOBS_FILE)) as database:
        return {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("jobs", "executions", "streams", "stream_files", "objects", "thing_groups")
        }


NOTHING = {"streams": 0, "stream_files": 0, "objects": 0, "thing_groups": 0}


def test_stream_and_object_are_removed_when_a_job_has_ended_or_was_cancelled(
    endpoint: RunningCore, fleet: Fleet, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(1000))
    sent = ("--file", f"{tmp_path / 'a.bin'}:lib/a.bin")
    endpoint.add_device("absent")
    begun = json.loads(update(endpoint, "absent", *sent, "--follow", "0", "--json").stdout)
    assert left(endpoint) == {**NOTHING, "jobs": 1, "executions": 1, "streams": 1, "stream_files": 1, "objects": 1}
    update(endpoint, "--cancel", begun["job"])
    assert left(endpoint) == {**NOTHING, "jobs": 1, "executions": 1}
    fleet.add("hall-1")
    done = update(endpoint, "hall-1", *sent)
    assert done.returncode == 0, done.stderr
    assert left(endpoint) == {**NOTHING, "jobs": 2, "executions": 2}


def test_group_of_a_large_fleet_is_removed_after_its_job(endpoint: RunningCore) -> None:
    names = [f"hall-{number}" for number in range(101)]
    for name in names:
        endpoint.add_device(name)
    begun = json.loads(update(endpoint, *names, "--restart", "--follow", "0", "--yes", "--json").stdout)
    assert left(endpoint)["thing_groups"] == 1
    update(endpoint, "--cancel", begun["job"])
    assert left(endpoint)["thing_groups"] == 0


def test_job_with_a_secret_is_deleted_when_it_has_ended(endpoint: RunningCore) -> None:
    endpoint.add_device("hall-1")
    secret = "hunter2-hunter2"
    begun = update(endpoint, "hall-1", "--config", "wifi.password=-", "--follow", "0", "--json", input=f"{secret}\n")
    cancelled = update(endpoint, "--cancel", json.loads(begun.stdout)["job"])
    assert "was deleted, because its document held a secret" in cancelled.stderr
    assert left(endpoint) == {**NOTHING, "jobs": 0, "executions": 0}
    endpoint.stop()
    kept = [path for path in endpoint.state.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert kept == []


def test_watchers_do_not_see_job_documents(endpoint: RunningCore, fleet: Fleet) -> None:
    fleet.add("hall-1")
    assert update(endpoint, "hall-1", "--config", "interval_s=7").returncode == 0
    topics = {message.topic for message in endpoint.messages}
    assert "$aws/things/hall-1/jobs/notify" in topics
    assert not any(b"interval_s" in message.payload for message in endpoint.messages if message.topic[0] == "$")
