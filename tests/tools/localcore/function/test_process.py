"""A worker process seen from its parent, at the moments that a real one rarely shows."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from mqtt443_tools.localcore.function.process import WorkerProcess


class Unnoticed:
    """A process that has ended and was reaped, before asyncio says so."""

    def __init__(self) -> None:
        with subprocess.Popen([sys.executable, "-c", ""], start_new_session=True) as process:
            self.pid = process.pid
        self.returncode = None
        self.stdin = None
        self.stdout = None
        self.stderr = asyncio.StreamReader()
        self.stderr.feed_eof()

    async def wait(self) -> int:
        return 0


def test_process_that_ended_unnoticed_can_be_ended() -> None:
    async def end() -> None:
        process: Any = Unnoticed()
        await WorkerProcess(process, print).end()

    asyncio.run(end())
