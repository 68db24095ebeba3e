"""AWS Lambda's runtime API on this machine, for AWS's own runtime interface client (awslambdaric) to fetch events from.

AWS Lambda Developer Guide, "Using the Lambda runtime API": next invocation, response, error, initialization error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

from tests.support.aws.stubs import ACCOUNT, REGION

WAIT_S = 20.0
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:mqtt443"
PREFIX = "/2018-06-01/runtime/"


class Lambda:
    """A function in one execution environment; a context manager.

    Args:
        code: folder of the unpacked code.
        environment: the function's own variables.
    """

    def __init__(self, code: Path, environment: dict[str, str]) -> None:
        self._code = code
        self._environment = environment
        self._events: Queue[tuple[str, bytes] | None] = Queue()
        self._answers: Queue[tuple[str, Any]] = Queue()
        self._count = 0
        self.log = ""

    def __enter__(self) -> Lambda:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", "mqtt443_authorizer.handler.handler"],
            cwd=self._code,
            env={
                "PATH": os.environ["PATH"],
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
                "AWS_LAMBDA_FUNCTION_NAME": "mqtt443",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
                "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/mqtt443",
                "AWS_LAMBDA_LOG_STREAM_NAME": "1",
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "LAMBDA_TASK_ROOT": str(self._code),
                **self._environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self.log = self._process.communicate(timeout=WAIT_S)[0]
        self._events.put(None)
        self._server.shutdown()
        self._thread.join(WAIT_S)
        self._server.server_close()

    def invoke(self, event: object) -> tuple[Any, float]:
        """Call the function; gives its answer and the seconds from the event to the answer."""
        self._count += 1
        started = time.perf_counter()
        self._events.put((f"request-{self._count}", json.dumps(event).encode()))
        kind, answer = self._answers.get(timeout=WAIT_S)
        assert kind == "response", answer
        return answer, time.perf_counter() - started

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        events, answers = self._events, self._answers

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                assert self.path == f"{PREFIX}invocation/next", self.path
                event = events.get()
                if event is None:
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", event[0])
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + 5) * 1000)))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", ARN)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(event[1])))
                self.end_headers()
                self.wfile.write(event[1])

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answers.put((self.path.rpartition("/")[2], json.loads(body)))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
