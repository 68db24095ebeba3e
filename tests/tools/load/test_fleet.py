"""The processes of a fleet, without an endpoint."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
import trustme
from mqtt443_tools.load.fleet import Fleet
from mqtt443_tools.load.target import Login, Target


def children() -> set[int]:
    return {
        int(child) for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()
    }


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has SCHED_BATCH")
def test_processes_of_a_fleet_do_not_interrupt_the_endpoint_on_the_same_machine() -> None:
    async def policies() -> list[int]:
        before = children()
        ca = trustme.CA().cert_pem.bytes().decode()
        async with Fleet(Target("localhost", "127.0.0.1", 1, ca), [Login("one"), Login("two")], 2) as fleet:
            await fleet.disconnect()  # answered, so they have started
            return [os.sched_getscheduler(child) for child in children() - before]

    assert asyncio.run(policies()) == [os.SCHED_BATCH] * 2
