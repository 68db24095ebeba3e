"""One worker process of a Lambda function, as the parent sees it: start it, exchange one event, end it.

worker.py runs in the process; runtime.py decides how many processes run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from mqtt443_tools.localcore.function.function_log import carry_log
from mqtt443_tools.localcore.localcore_errors import FunctionError

# An answer of at most 6 MiB travels as a string inside a line of ASCII JSON, which takes at most three times that.
_MAX_LINE_BYTES = 3 * 6 * 1024 * 1024 + 1024
_END_S = 2.0


class WorkerProcess:
    """A running worker and the task that forwards its log."""

    def __init__(self, process: asyncio.subprocess.Process, on_log: Callable[[str], None]) -> None:
        self._process = process
        self._requests = cast(asyncio.StreamWriter, process.stdin)  # start() creates all three pipes
        self._answers = cast(asyncio.StreamReader, process.stdout)
        self._log = asyncio.create_task(carry_log(cast(asyncio.StreamReader, process.stderr), on_log))

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        settings: Mapping[str, Any],
        on_log: Callable[[str], None],
    ) -> WorkerProcess:
        """Start a worker and send it its settings.

        It has its own session, so Ctrl-C in the terminal does not reach it and its children can be ended with it.

        Raises:
            FunctionError: kind `exit`, the process cannot start.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
                limit=_MAX_LINE_BYTES,
            )
        except OSError as error:
            raise FunctionError("exit", f"the Lambda process cannot start: {error.strerror}") from None
        worker = cls(process, on_log)
        worker._requests.write(json.dumps(settings).encode("ascii") + b"\n")
        return worker

    @property
    def alive(self) -> bool:
        """Whether the process still runs, as far as is known."""
        return self._process.returncode is None

    async def exchange(self, line: bytes, request_id: str) -> dict[str, Any]:
        """Send one request line and read its frame; the caller sets the deadline.

        Raises:
            FunctionError: kind `exit` or `answer`; the worker must be ended then.
        """
        try:
            self._requests.write(line)
            await self._requests.drain()
            answer = await self._answers.readline()
        except ConnectionError:
            answer = b""
        except ValueError:
            raise FunctionError("answer", "the Lambda process wrote an endless line") from None
        if not answer.endswith(b"\n"):
            status = await self._process.wait()
            raise FunctionError("exit", f"the Lambda process ended (status {status}, see the Lambda's log)")
        return _decode_frame(answer, request_id)

    async def end(self) -> None:
        """Kill the process and its children, wait for it, and for the rest of its log."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):  # it has ended, but asyncio does not know yet
                os.killpg(self._process.pid, signal.SIGKILL)
        gone = asyncio.create_task(self._process.wait())
        _, late = await asyncio.wait({gone, self._log}, timeout=_END_S)
        for task in late:
            task.cancel()


def _decode_frame(answer: bytes, request_id: str) -> dict[str, Any]:
    try:
        frame = json.loads(answer)
    except (ValueError, RecursionError):
        frame = None
    if not isinstance(frame, dict) or frame.get("id") != request_id:
        raise FunctionError("answer", "the Lambda process broke its protocol")
    return frame
