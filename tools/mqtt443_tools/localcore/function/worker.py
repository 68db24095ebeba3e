"""One execution environment of a Lambda function: a process that imports the handler once and answers events.

Started by runtime.py as a script, never imported by it. It speaks JSON lines: first a line with the settings,
then a line for each event on stdin and a line for each answer on stdout. The handler sees neither: its stdin is empty,
and what it prints goes to stderr, the function's log. The process ends when its stdin closes, even while a handler
runs, so that nothing is left behind when the parent dies. It uses only the standard library, since the handler finds
every module loaded that is imported here.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, BinaryIO

Handler = Callable[[Any, "Context"], object]


class Context:
    """The context object of Lambda (AWS Lambda Developer Guide, "Using the Lambda context object")."""

    def __init__(self, request_id: str, function_arn: str, deadline_ms: int) -> None:
        self.aws_request_id = request_id
        self.invoked_function_arn = function_arn
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = None
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the time limit, never below 0."""
        return max(0, self._deadline_ms - time.time_ns() // 1_000_000)


def take_protocol_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for the protocol and give the handler an empty stdin and stderr instead."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    # Both streams of Python feed one log, whose lines must keep their order.
    sys.stdout = sys.stderr
    return requests, answers


def forward(requests: BinaryIO, queue: SimpleQueue[bytes]) -> None:
    """Pass on requests as they arrive, and end the process as soon as stdin closes."""
    for line in requests:
        queue.put(line)
    os._exit(0)


def load(specification: str) -> tuple[Handler | None, str]:
    """Import `package.module.function`, or return the kind of error that Lambda reports."""
    module_name, _, function_name = specification.rpartition(".")
    try:
        module = importlib.import_module(module_name)
        handler: Handler = getattr(module, function_name)
    except Exception as error:
        traceback.print_exc()
        return None, type(error).__name__
    return handler, ""


def run(handler: Handler, request: dict[str, Any], settings: dict[str, Any]) -> dict[str, str]:
    """Call the handler once; return its answer or the kind of error, as JSON."""
    context = Context(request["id"], settings["function_arn"], request["deadline_ms"])
    try:
        answer = handler(request["event"], context)
    except Exception as error:
        traceback.print_exc()
        return {"error": "exception", "type": type(error).__name__}
    try:
        text = json.dumps(answer, allow_nan=False, ensure_ascii=False)
        size = len(text.encode("utf-8"))
    except (TypeError, ValueError, RecursionError) as error:
        traceback.print_exc()
        return {"error": "answer", "type": type(error).__name__}
    if size > settings["max_answer_bytes"]:
        return {"error": "size", "type": ""}
    return {"answer": text}


def serve(requests: BinaryIO, answers: BinaryIO) -> int:
    """Answer events until the handler cannot be imported or stdin closes; returns the exit status."""
    settings = json.loads(requests.readline())
    queue: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=forward, args=(requests, queue), daemon=True).start()
    sys.path[:0] = settings["path"]
    handler, problem = load(settings["handler"])
    while True:
        request = json.loads(queue.get())
        result = run(handler, request, settings) if handler else {"error": "import", "type": problem}
        sys.stderr.flush()
        answers.write(json.dumps({"id": request["id"], **result}).encode("ascii") + b"\n")
        answers.flush()
        if not handler:
            return 1


def main() -> int:
    """Serve; a handler that calls sys.exit ends this process as it ends a Lambda environment."""
    try:
        return serve(*take_protocol_pipes())
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # The thread that waits on stdin cannot be joined, and Lambda runs no exit handlers either.
    os._exit(status)
