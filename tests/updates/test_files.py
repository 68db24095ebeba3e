"""Files over the air: whole, checked, put in place together, and taken back if the board does not connect with them."""

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.virtualboard.supervisor import HARD_RESET

from tests.support.board import flash_image
from tests.support.mqtt.job_server import Block, Execution, JobServer
from tests.updates.boards import CA, SENSORS, THING, Updated, document, resets, updated
from tests.updates.bundles import bundle, inline, stream
from tests.updates.test_jobs import KINDS

NEW_SENSORS = SENSORS.replace('{"id": number}', '{"id": number, "new": True}').encode()
LIBRARY = random.Random(443).randbytes(9_000)


def file_on(running: Updated, path: str) -> bytes | None:
    """Return a file of a board that is off; None if it does not exist."""
    board = running.board
    if board.flash is None:
        return (board.root / path).read_bytes() if (board.root / path).exists() else None
    folder = path.rpartition("/")[0]
    return flash_image.read(board.interpreter, board.flash, folder).get(path)


@pytest.mark.parametrize(("name", "compiled"), KINDS)
def test_files_arrive_inline_or_by_stream_and_run(tmp_path: Path, name: str, compiled: bool) -> None:
    server = JobServer(THING)
    files = {"sensors.py": NEW_SENSORS, "lib/drivers/big.bin": LIBRARY, "lib/empty.py": b"", "old.txt": None}
    by_stream = server.add("s", document("files", bundle=stream(server, "st", bundle(files))))
    small = inline(bundle({"notes.txt": b"hello", "lib/drivers/big.bin": None}))
    in_document = server.add("d", document("files", bundle=small))
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "old.txt").write_text("old")
    (tmp_path / "board" / "sensors.py").write_text(SENSORS)
    with updated(tmp_path, name, compiled=compiled, server=server, max_message_bytes=1024) as running:
        server.wait_for(by_stream)
        assert by_stream.status == "SUCCEEDED", by_stream
        assert by_stream.history[0] == ("IN_PROGRESS", {"step": "download"})
        assert by_stream.history[-2] == ("IN_PROGRESS", {"step": "swap"})
        server.wait_for(in_document)
        assert in_document.status == "SUCCEEDED", in_document
        assert resets(running.board) == [HARD_RESET] * 2
        assert server.telemetry[-1]["new"] is True
        assert 256 <= server.max_block <= 768
        running.off()
        assert file_on(running, "sensors.py") == NEW_SENSORS
        assert file_on(running, "lib/empty.py") == b""
        assert file_on(running, "notes.txt") == b"hello"
        assert file_on(running, "old.txt") is None
        assert file_on(running, "lib/drivers/big.bin") is None


def fetched(tmp_path: Path, server: JobServer, files: dict[str, bytes | None], **how: Any) -> tuple[Execution, str]:
    """Let a board fetch files by stream; return the job, and what the board logged."""
    job = server.add("job", document("files", bundle=stream(server, "st", bundle(files))))
    with updated(tmp_path, server=server, max_message_bytes=1024, **how) as running:
        server.wait_for(job)
        running.off()
        if job.status == "SUCCEEDED":
            for path, content in files.items():
                assert file_on(running, path) == content
        else:
            assert file_on(running, "sensors.py") == SENSORS.encode()
        return job, running.lines


def test_blocks_missing_repeated_reordered_late_and_wrong_do_no_harm(tmp_path: Path) -> None:
    server = JobServer(THING)
    faults = iter([*["lost", "twice", "early", "late", "wrong", "short", "other", "json", "lost"], *[""] * 1000])
    last: list[Block] = []

    def spoil(block: Block) -> list[Block]:
        before = list(last)
        last[:] = [block]
        return {
            "": [block],
            "lost": [],
            "twice": [block, block],
            "early": [{**block, "i": block["i"] + 3}, block],
            "late": [*before, block],
            "wrong": [{**block, "p": "AAAA" + block["p"][4:]}],
            "short": [{**block, "p": block["p"][:-8]}],
            "other": [{**block, "f": 1}, {**block, "l": 256}, block],
            "json": [{**block, "p": 5}, block],
        }[next(faults)]

    server.spoil = spoil
    job, lines = fetched(tmp_path, server, {"lib/big.bin": LIBRARY, "sensors.py": NEW_SENSORS})
    assert job.status == "SUCCEEDED", job
    assert "lib/big.bin: wrong SHA-256" in lines
    assert next(faults) == ""


FAILING: list[tuple[str, Any, str]] = [
    ("no block", lambda block: [] if block["i"] > 2 else [block], "block 3 of the stream did not come"),
    ("refused", lambda _: [{"o": "BlockSizeTooSmall", "m": "no", "c": "b"}], "stream: BlockSizeTooSmall no"),
    ("always wrong", lambda block: [{**block, "p": "AAAA" + block["p"][4:]}], "bundle: line 1 is not a file"),
    (
        "one wrong",
        lambda block: [{**block, "p": "AAAA" + block["p"][4:]} if block["i"] == 1 else block],
        "lib/big.bin: wrong SHA-256",
    ),
]


@pytest.mark.parametrize(("spoil", "reason"), [case[1:] for case in FAILING], ids=[case[0] for case in FAILING])
def test_stream_that_never_arrives_intact_fails_with_the_reason(tmp_path: Path, spoil: Any, reason: str) -> None:
    server = JobServer(THING)
    server.spoil = spoil
    job, _ = fetched(tmp_path, server, {"lib/big.bin": LIBRARY, "sensors.py": NEW_SENSORS})
    assert job.status in ("FAILED", "REJECTED")
    assert reason in job.details["reason"]


def test_download_resumes_at_the_next_block_after_resets_and_lost_connections(tmp_path: Path) -> None:
    server = JobServer(THING)
    asked: list[int] = []
    ends = {4, 9}

    def close(name: str, values: dict[str, Any]) -> bool:
        if not name.startswith("streams/"):
            return False
        asked.append(values["o"])
        if values["o"] in ends:
            ends.discard(values["o"])
            return True
        return False

    server.close_at = close
    job = server.add("job", document("files", bundle=stream(server, "st", bundle({"lib/big.bin": LIBRARY}))))
    with updated(tmp_path, server=server, max_message_bytes=1024) as running:
        server.wait_until(lambda: bool(asked) and asked[-1] >= 12)
        running.off()
        running.board.power_on()
        server.wait_for(job)
        assert job.status == "SUCCEEDED"
    again = [number for number, next_one in itertools.pairwise(asked) if next_one <= number]
    assert [number for number in again if number in (4, 9)] == [4, 9]
    assert len(again) == 3, asked
    assert all(next_one >= number - 1 for number, next_one in itertools.pairwise(asked)), asked


@pytest.mark.parametrize(
    ("path", "content"),
    [("ca.pem", b"no certificate"), ("sensors.py", b"while True:\n    pass\n")],
    ids=["CA", "sensors that hang"],
)
def test_files_with_which_the_board_cannot_connect_are_reverted(tmp_path: Path, path: str, content: bytes) -> None:
    server = JobServer(THING)
    files = {path: content, "lib/new.txt": b"new", "lib/gone.txt": None}
    job = server.add("job", document("files", bundle=inline(bundle(files))))
    (tmp_path / "board" / "lib").mkdir(parents=True)
    (tmp_path / "board" / "lib" / "gone.txt").write_text("still here")
    (tmp_path / "board" / "sensors.py").write_text(SENSORS)
    with updated(tmp_path, server=server, max_message_bytes=2048, watchdog_s=200) as running:
        server.wait_for(job)
        assert job.status == "FAILED"
        assert job.details["reason"], job
        running.off()
        assert file_on(running, "sensors.py") == SENSORS.encode()
        assert file_on(running, "ca.pem") == CA.cert_pem.bytes()
        assert file_on(running, "lib/new.txt") is None
        assert file_on(running, "lib/gone.txt") == b"still here"
        assert file_on(running, "update/job") is None


FORBIDDEN = [
    "boot.py", "main.py", "config.json", "config.json.good", "push.json", "state", "state.old", "slot", "slot.new",
    "outbox/00000000", "update/job", "slot_b/mqtt443/app.py", "lib/mqtt443/app.py", "lib/mqtt443.py", "mqtt443.py",
    "mqtt443/x.py", "lib", "json.py", "json/__init__.py", "lib/os.mpy", "lib/time/x.py", "safe_mode", "/etc/x", "../x",
    "lib/../main.py", "a//b", "./boot.py", "", "x" * 97, "a\nb", "a:b", "x.staged", "x.replaced",
    "caf\u00e9.py", "lib/", "BOOT.py", "Lib", "LIB/mqtt443/app.py", "JSON.py",
]  # fmt: skip


def test_paths_outside_a_jobs_reach_are_rejected(tmp_path: Path) -> None:
    server = JobServer(THING)
    jobs = [
        server.add(f"j{n}", document("files", bundle=inline(bundle({path: b"x"})))) for n, path in enumerate(FORBIDDEN)
    ]
    with updated(tmp_path, server=server, max_message_bytes=2048) as running:
        server.wait_for(jobs[-1])
        for job, path in zip(jobs, FORBIDDEN, strict=True):
            assert job.status == "REJECTED", job
            assert f"{path[:96]!a} may not be written" in job.details["reason"]
        assert resets(running.board) == []


GOOD = inline(bundle({"a.txt": b"x"}))
BAD_BUNDLES: list[tuple[Any, str]] = [
    (None, "bundle must have size and sha256"),
    ({**GOOD, "size": "5"}, "bundle must have size and sha256"),
    ({**GOOD, "sha256": "x"}, "bundle must have size and sha256"),
    ({**GOOD, "stream": "s"}, "bundle must have data or stream"),
    ({"size": 1, "sha256": GOOD["sha256"]}, "bundle must have data or stream"),
    ({**GOOD, "data": "?"}, ""),
    ({**GOOD, "data": 5}, "data is not Base64"),
    ({**GOOD, "size": GOOD["size"] + 1}, "it ends after"),
    ({**GOOD, "sha256": "0" * 64}, "bundle: wrong SHA-256"),
    (inline(b"no JSON\n"), "line 1 is not a file"),
    (inline(b'{"path": "a.txt"}\n'), "line 1 is not a file"),
    (inline(b'[]\n'), "line 1 is not a file"),
    (inline(b"x" * 400), "a line of more than 256 bytes"),
    (inline(json.dumps({"path": "a.txt", "size": 1, "sha256": "0" * 64}).encode() + b"\nx"), "a.txt: wrong SHA-256"),
    ({"size": 5, "sha256": "0" * 64, "stream": "no such"}, "stream: ResourceNotFound"),
    ({"size": 5, "sha256": "0" * 64, "stream": "a/b"}, "no stream of that name"),
]  # fmt: skip


def test_bundles_that_make_no_sense_are_refused_with_the_reason(tmp_path: Path) -> None:
    server = JobServer(THING)
    jobs = [server.add(f"j{n}", document("files", bundle=each)) for n, (each, _) in enumerate(BAD_BUNDLES)]
    with updated(tmp_path, server=server, max_message_bytes=2048) as running:
        server.wait_for(jobs[-1])
        for job, (_, reason) in zip(jobs, BAD_BUNDLES, strict=True):
            assert job.status in ("REJECTED", "FAILED"), job
            assert reason in job.details["reason"], job
        assert resets(running.board) == []
        running.off()
        assert file_on(running, "a.txt") is None


def test_max_message_bytes_that_is_too_small_for_blocks_is_named(tmp_path: Path) -> None:
    server = JobServer(THING)
    values = {"size": 5, "sha256": "0" * 64, "stream": "s" * 45}
    job = server.add("job", {"mqtt443": 1, "action": "files", "bundle": values})
    with updated(tmp_path, server=server, max_message_bytes=520):
        server.wait_for(job)
        assert job.status == "REJECTED"
        assert "max_message_bytes must be at least" in job.details["reason"]


def test_flash_too_small_for_the_files_fails_the_job(tmp_path: Path) -> None:
    server = JobServer(THING)
    files = {"lib/huge.bin": random.Random(1).randbytes(700_000)}
    job = server.add("job", document("files", bundle=stream(server, "st", bundle(files))))
    with updated(tmp_path, server=server, max_message_bytes=8192, interval_s=60) as running:
        server.wait_for(job)
        assert job.status == "FAILED"
        assert job.details["reason"].startswith("flash: ")
        running.off()
        assert file_on(running, "lib/huge.bin") is None


@pytest.mark.parametrize("mqtt", ["3.1.1", "5"])
def test_policy_that_denies_streams_fails_the_job(tmp_path: Path, mqtt: str) -> None:
    server = JobServer(THING)
    server.denied.add(f"$aws/things/{THING}/streams/st/+/json")
    job = server.add("s", document("files", bundle=stream(server, "st", bundle({"a.txt": b"a" * 1000}))))
    with updated(tmp_path, server=server, max_message_bytes=1024, mqtt=mqtt):
        server.wait_for(job)
        assert (job.status, server.subscribed.count(*server.denied)) == ("FAILED", 2)
        assert "does not let this board subscribe" in job.details["reason"]
