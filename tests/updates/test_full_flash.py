"""A bundle for which the flash has no room: the job fails, nothing of it stays, and the board goes on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.board import flash_image
from tests.support.mqtt.job_server import JobServer
from tests.updates.boards import THING, document, resets, updated
from tests.updates.bundles import bundle, stream
from tests.updates.packages import FOLDER

SENSORS = "n = 0\ndef read():\n    global n\n    n += 1\n    return {'id': n}\n"
CONTENT = random.Random(443).randbytes(60_000)
PATHS = {"files": "lib/big.bin", "package": FOLDER + "big.mpy"}


@pytest.mark.parametrize("room_bytes", [0, 24 * 1024])
@pytest.mark.parametrize("action", ["files", "package"])
def test_bundle_for_which_the_flash_has_no_room_fails_the_job(tmp_path: Path, action: str, room_bytes: int) -> None:
    server = JobServer(THING)
    members = {"version": "0.5.0"} if action == "package" else {}
    source = stream(server, "st", bundle({PATHS[action]: CONTENT}))
    job = server.add("full", document(action, bundle=source, **members))
    report = server.add("next", document("report"))
    with updated(tmp_path, server=server, sensors=SENSORS, on=False, max_message_bytes=4096) as running:
        board = running.board
        assert board.flash is not None
        flash_image.write(board.interpreter, board.flash, {"spare": bytes(room_bytes)})
        flash_image.fill(board.interpreter, board.flash)
        flash_image.write(board.interpreter, board.flash, {"spare": None})
        board.power_on()
        server.wait_for(job)
        assert job.status == "FAILED"
        assert job.details["reason"].startswith("flash"), job
        server.wait_for(report)
        assert report.status == "SUCCEEDED"
        assert resets(board) == []
        running.off()
        left = flash_image.read(board.interpreter, board.flash, "lib", "update", "slot_b", "slot_b/mqtt443")
        assert [path for path in left if "big" in path or path.startswith(("update", "slot_b"))] == []
