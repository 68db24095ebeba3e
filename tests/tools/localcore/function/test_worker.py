"""The worker process by itself: what keeps it from outliving its parent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mqtt443_tools.localcore.function import runtime as lambda_runtime

WORKER = Path(lambda_runtime.__file__).with_name("worker.py")
ENVIRONMENT = {
    f"AWS_LAMBDA_{name}": "x"
    for name in ("FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE", "LOG_GROUP_NAME", "LOG_STREAM_NAME")
}


def start(folder: Path, source: str) -> subprocess.Popen[bytes]:
    (folder / "app.py").write_text(source)
    worker = subprocess.Popen(
        [sys.executable, "-I", "-S", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    send(worker, {"handler": "app.handler", "path": [str(folder)], "function_arn": "x", "max_answer_bytes": 100})
    return worker


def send(worker: subprocess.Popen[bytes], message: object) -> None:
    assert worker.stdin
    worker.stdin.write(json.dumps(message).encode() + b"\n")
    worker.stdin.flush()


def end_of_input_ends(worker: subprocess.Popen[bytes]) -> None:
    with worker:
        assert worker.stdin
        worker.stdin.close()
        assert worker.wait(timeout=20) == 0


def test_idle_worker_ends_with_its_input(tmp_path: Path) -> None:
    worker = start(tmp_path, "def handler(event, context): return event")
    send(worker, {"id": "1", "deadline_ms": 0, "event": "x"})
    assert worker.stdout
    assert json.loads(worker.stdout.readline()) == {"id": "1", "answer": '"x"'}
    end_of_input_ends(worker)


def test_worker_ends_with_its_input_even_inside_a_handler(tmp_path: Path) -> None:
    worker = start(tmp_path, "import time\ndef handler(event, context): print('in', flush=True); time.sleep(1000)")
    send(worker, {"id": "1", "deadline_ms": 0, "event": None})
    assert worker.stderr
    assert worker.stderr.readline() == b"in\n"
    end_of_input_ends(worker)


def test_worker_ends_with_its_input_even_inside_an_import(tmp_path: Path) -> None:
    worker = start(tmp_path, "import time\nprint('in', flush=True)\ntime.sleep(1000)")
    assert worker.stderr
    assert worker.stderr.readline() == b"in\n"
    end_of_input_ends(worker)


def test_remaining_time_never_goes_below_zero(tmp_path: Path) -> None:
    worker = start(tmp_path, "def handler(event, context): return context.get_remaining_time_in_millis()")
    send(worker, {"id": "1", "deadline_ms": 1, "event": None})
    assert worker.stdout
    assert json.loads(worker.stdout.readline())["answer"] == "0"
    end_of_input_ends(worker)


def test_worker_imports_little_that_a_handler_could_lean_on(tmp_path: Path) -> None:
    source = "import sys\ndef handler(event, context): return [m for m in event if m in sys.modules]"
    worker = start(tmp_path, source)
    send(worker, {"id": "1", "deadline_ms": 1, "event": ["asyncio", "typing", "base64", "hashlib", "re"]})
    assert worker.stdout
    unexpected = json.loads(json.loads(worker.stdout.readline())["answer"])
    end_of_input_ends(worker)
    assert set(unexpected) <= {"typing", "re"}, "json and traceback load re; nothing more should come along"
