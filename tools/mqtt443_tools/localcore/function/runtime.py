"""Runs a Lambda function on this machine as Lambda does: in other processes, kept warm, and with a time limit.

A small pool of worker processes (worker.py) with a clean environment; each serves one event at a time and is
reused. A worker that is too slow, dies or breaks the protocol is killed, and a new one starts on demand. auth/answer.py
interprets the function's answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mqtt443_tools.localcore.function.process import WorkerProcess
from mqtt443_tools.localcore.localcore_errors import FunctionError

__all__ = ["FunctionError", "LambdaFunction"]

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
"""Limit of an event and of an answer (AWS Lambda Developer Guide, "Lambda quotas", synchronous invocation)."""


class LambdaFunction:
    """A function and its pool of worker processes; belongs to one event loop."""

    def __init__(
        self,
        code: Path,
        handler: str,
        *,
        environment: Mapping[str, str],
        name: str,
        region: str,
        account: str,
        on_log: Callable[[str], None],
        timeout_s: float = 5.0,
        memory_mb: int = 128,
        layers: Sequence[Path] = (),
        max_workers: int = 4,
        max_waiting: int = 64,
        idle_s: float = 300.0,
    ) -> None:
        """Describe the function; nothing starts before the first event.

        Args:
            code: folder or zip file of the deployed code.
            handler: `package.module.function`.
            environment: the function's own variables; it inherits none from this process.
            name: of the function.
            region: such as eu-west-1.
            account: 12 digits.
            on_log: receives each line that the function prints, and warnings about it; called in the event loop.
            timeout_s: above 0, for queueing, start and answer together; 5 s is AWS's limit for an authorizer.
            memory_mb: reported to the function, not enforced.
            layers: folders after the code on the import path, where Lambda puts layers and the AWS SDK; apart from
                them and the standard library, the function sees no installed package.
            max_workers: the most processes, and so the most events served at once; 1 or more.
            max_waiting: the most events that may wait for a worker; a further one is a FunctionError `throttled`.
            idle_s: how long a worker without an event is kept; Lambda ends an idle one after some minutes.

        Raises:
            ValueError: there is no code, or the environment sets a variable that Lambda reserves.
        """
        if not code.exists():
            raise ValueError(f"there is no Lambda code at {code}")
        reserved = _reserved_environment(name, region, memory_mb, code, handler)
        for variable in sorted(reserved.keys() & environment.keys()):
            raise ValueError(f"Lambda sets {variable} itself: take it out of the function's environment")
        self.arn = f"arn:aws:lambda:{region}:{account}:function:{name}"
        self.on_log = on_log
        defaults = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": ":UTC"}
        self._environment = {**defaults, **environment, **reserved}
        self._folder = code if code.is_dir() else code.parent
        self._settings = {
            "handler": handler,
            "path": [str(path.resolve()) for path in (code, *layers)],
            "function_arn": self.arn,
            "max_answer_bytes": MAX_PAYLOAD_BYTES,
        }
        self._timeout_s = timeout_s
        self._max_workers = max_workers
        self._max_waiting = max_waiting
        self._slots = asyncio.Semaphore(max_workers)
        self._waiting = 0
        self._idle: list[tuple[WorkerProcess, float]] = []  # with the loop's time of its last event, the oldest first
        self._idle_s = idle_s
        self._reaper: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._workers: set[WorkerProcess] = set()
        self._closed = False

    async def invoke(self, event: object) -> object:
        """Call the handler with one event.

        Args:
            event: any JSON value.

        Returns:
            The JSON value that the handler returned.

        Raises:
            FunctionError: there is no value; its kind says why.
        """
        request_id = str(uuid.uuid4())
        deadline_ms = time.time_ns() // 1_000_000 + round(self._timeout_s * 1000)
        line = _encode_event(request_id, deadline_ms, event)
        if self._slots.locked() and self._waiting >= self._max_waiting:
            raise FunctionError("throttled", "too many calls of the Lambda at once")
        try:
            async with asyncio.timeout(self._timeout_s):
                frame = await self._serve(line, request_id)
        except TimeoutError:
            raise FunctionError("timeout", f"the Lambda did not answer within {self._timeout_s:g} s") from None
        return _decode_answer(frame)

    async def close(self) -> None:
        """Kill all workers and wait until they are gone; events under way fail, later ones are refused."""
        if self._closed:
            return
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        await asyncio.gather(*self._ending, *(self._discard(worker) for worker in list(self._workers)))
        # A call that still holds a slot is about to end, with its worker.
        for _ in range(self._max_workers):
            await self._slots.acquire()
        for _ in range(self._max_workers):
            self._slots.release()

    async def _serve(self, line: bytes, request_id: str) -> dict[str, Any]:
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            worker = await self._take_worker()
            reusable = False
            try:
                frame = await worker.exchange(line, request_id)
                reusable = frame.get("error") != "import"
            finally:
                # Unless a complete frame was read, the pipes may contain part of one.
                if reusable and not self._closed:
                    self._keep(worker)
                else:
                    await self._discard(worker)
        finally:
            self._slots.release()
        return frame

    async def _take_worker(self) -> WorkerProcess:
        while self._idle:
            worker, _ = self._idle.pop()
            if worker.alive:
                return worker
            await self._discard(worker)
        if self._closed:
            raise FunctionError("closed", "the Lambda function was closed")
        command = [sys.executable, "-I", "-S", "-X", "utf8", str(Path(__file__).with_name("worker.py"))]
        worker = await WorkerProcess.start(command, self._environment, self._folder, self._settings, self.on_log)
        self._workers.add(worker)
        if self._closed:
            await self._discard(worker)
            raise FunctionError("closed", "the Lambda function was closed")
        return worker

    def _keep(self, worker: WorkerProcess) -> None:
        """Keep a worker for the next event, `idle_s` at most."""
        loop = asyncio.get_running_loop()
        self._idle.append((worker, loop.time()))
        if self._reaper is None:
            self._reaper = loop.call_later(self._idle_s, self._reap)

    def _reap(self) -> None:
        """End the workers that have been idle for too long; the last ones used are at the end of the list."""
        loop = asyncio.get_running_loop()
        self._reaper = None
        while self._idle and self._idle[0][1] + self._idle_s <= loop.time():
            worker, _ = self._idle.pop(0)
            ending = loop.create_task(self._discard(worker))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        if self._idle:
            self._reaper = loop.call_at(self._idle[0][1] + self._idle_s, self._reap)

    async def _discard(self, worker: WorkerProcess) -> None:
        self._workers.discard(worker)
        await worker.end()


def _reserved_environment(name: str, region: str, memory_mb: int, code: Path, handler: str) -> dict[str, str]:
    """The variables that Lambda sets itself (AWS Lambda Developer Guide, "Defined runtime environment variables")."""
    return {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"local/[$LATEST]{uuid.uuid4().hex}",
        "LAMBDA_TASK_ROOT": str(code.resolve()),
        "_HANDLER": handler,
    }


def _encode_event(request_id: str, deadline_ms: int, event: object) -> bytes:
    try:
        text = json.dumps(event, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise FunctionError("event", "the event is not JSON") from None
    if len(text) > MAX_PAYLOAD_BYTES:
        raise FunctionError("event", f"the event is over {MAX_PAYLOAD_BYTES:,} bytes")
    return f'{{"id": "{request_id}", "deadline_ms": {deadline_ms}, "event": {text}}}\n'.encode("ascii")


def _decode_answer(frame: dict[str, Any]) -> object:
    cause = frame.get("type")
    match frame.get("error"):
        case "import":
            raise FunctionError("import", f"the handler cannot be imported ({cause}, see the Lambda's log)")
        case "exception":
            raise FunctionError("exception", f"the handler raised {cause} (see the Lambda's log)")
        case "answer":
            raise FunctionError("answer", f"the handler returned something that is not JSON ({cause})")
        case "size":
            raise FunctionError("answer", f"the handler's answer is over {MAX_PAYLOAD_BYTES:,} bytes")
    try:
        value: object = json.loads(frame["answer"])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise FunctionError("answer", "the handler's answer cannot be read as JSON") from None
    return value
