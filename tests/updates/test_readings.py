"""Jobs of every kind while a thousand readings are taken: none is lost."""

from __future__ import annotations

from pathlib import Path

from tests.support.mqtt.job_server import JobServer
from tests.updates.boards import SENSORS, THING, document, resets, updated
from tests.updates.bundles import bundle, inline, stream
from tests.updates.packages import for_boards, package

READINGS = 1000


def test_thousand_readings_outlive_jobs_of_every_kind(tmp_path: Path) -> None:
    server = JobServer(THING)
    server.accept = lambda password: password != "bad"
    files = {"sensors.py": SENSORS.encode(), "lib/a.bin": bytes(5000)}
    jobs = [
        document("report"),
        document("command", name="relay", args={"on": 1}),
        document("config", set={"topic": "telemetry/{client_id}/new"}),
        document("config", set={"password": "bad"}, within_s=20),
        document("password", password="new"),
        document("restart"),
        document("files", bundle=stream(server, "files", bundle(files))),
        document("files", bundle=inline(bundle({"notes.txt": b"hello"}))),
        document("package", version="0.5.0", bundle=stream(server, "up", bundle(for_boards(package(True))))),
    ]
    with updated(tmp_path, server=server, interval_s=1, max_message_bytes=4096) as running:
        executions = []
        for number, each in enumerate(jobs, 1):
            server.wait_until(lambda number=number: len(server.ids) > READINGS // 12 * number)  # type: ignore[misc]
            executions.append(server.add(f"job-{number}", each))
            server.wait_for(executions[-1])
        server.wait_until(lambda: len(server.ids) >= READINGS)
        assert [each.status for each in executions] == [
            "FAILED" if each["action"] == "config" and each["set"].get("password") else "SUCCEEDED" for each in jobs
        ], executions
        assert len(resets(running.board)) >= len(jobs) - 2
        # `updated` compares the ids of all readings at its end.
