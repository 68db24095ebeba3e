"""A whole update fits the heap that firmware/budget.json grants: on 32 bits, compiled, by a stream of small blocks."""

import json
from pathlib import Path

from mqtt443_tools.support.paths import ROOT

from tests.support.mqtt.job_server import JobServer
from tests.updates.boards import THING, updated
from tests.updates.packages import for_boards, package
from tests.updates.test_package import add

LEAST = json.loads((ROOT / "firmware" / "budget.json").read_text())["least_heap_update_bytes"]
BUILT_IN = 15_500  # what an image has in its own flash: umqtt, and the shims for chip and flash


def test_update_of_60_kb_fits_the_least_heap(tmp_path: Path) -> None:
    server = JobServer(THING)
    files = for_boards(package(True))
    assert sum(len(content or b"") for content in files.values()) > 60_000
    job = add(server, "up", files)
    with updated(tmp_path, "alpn32", server=server, heap_bytes=LEAST + BUILT_IN, max_message_bytes=1024) as running:
        server.wait_for(job)
        assert job.status == "SUCCEEDED", running.lines
        assert "MemoryError" not in running.lines
