"""Lambda functions in real worker processes: warm, bounded, cut off, and replaced."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.lambdas import LogLines, lambda_function
from tools.localcore.lambda_runtime import MAX_PAYLOAD_BYTES, FunctionError, LambdaFunction

COUNTING = """
    import os
    calls = 0

    def handler(event, context):
        global calls
        calls += 1
        return {"calls": calls, "pid": os.getpid(), "event": event}
"""
# A handler that waits until a file exists, or for ever.
WAITING = """
    import os, time

    def handler(event, context):
        print("working", os.getpid(), flush=True)
        while not os.path.exists(str(event)):
            time.sleep(0.005)
        return os.getpid()
"""


def call(folder: Path, source: str, *events: object, **options: Any) -> tuple[list[Any], list[str]]:
    """Send events one after the other; gives what each returned or raised, and the log."""

    async def run() -> tuple[list[Any], list[str]]:
        results: list[Any] = []
        async with lambda_function(folder, source, **options) as (function, log):
            for event in events:
                try:
                    results.append(await function.invoke(event))
                except FunctionError as error:
                    results.append(error)
        return results, log

    return asyncio.run(run())


def assert_failed(result: object, kind: str, message: str) -> None:
    assert isinstance(result, FunctionError), result
    assert (result.kind, str(result)) == (kind, message)


def is_running(pid: int) -> bool:
    """Whether the process lives; an orphan that nobody has reaped yet is as gone as it can be."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def assert_gone(pid: int, timeout_s: float = 10.0) -> None:
    """A kill is prompt, not instant."""
    give_up = time.monotonic() + timeout_s
    while is_running(pid):
        assert time.monotonic() < give_up, f"process {pid} still runs"
        time.sleep(0.005)


def test_warm_worker_serves_the_next_event(tmp_path: Path) -> None:
    (first, second), _ = call(tmp_path, COUNTING, {"a": [1, "ü", None]}, "b")
    assert first["event"] == {"a": [1, "ü", None]}
    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["pid"] == second["pid"] != os.getpid()


def test_nothing_runs_before_the_first_event_and_after_close(tmp_path: Path) -> None:
    async def run() -> int:
        async with lambda_function(tmp_path, COUNTING) as (function, _):
            assert not function._workers
            answer: Any = await function.invoke(0)
            assert is_running(answer["pid"])
        await function.close()  # a second time is harmless
        with pytest.raises(FunctionError) as closed:
            await function.invoke(0)
        assert closed.value.kind == "closed"
        pid: int = answer["pid"]
        return pid

    assert_gone(asyncio.run(run()))


def test_slow_handler_is_killed_with_its_children_and_replaced(tmp_path: Path) -> None:
    source = """
        import os, subprocess, time

        def handler(event, context):
            if event == "slow":
                print(os.getpid(), subprocess.Popen(["sleep", "1000"]).pid, flush=True)
                time.sleep(1000)
            return os.getpid()
    """
    (late, again), log = call(tmp_path, source, "slow", "quick", timeout_s=2.5)
    assert_failed(late, "timeout", "the Lambda did not answer within 2.5 s")
    killed, child = map(int, log[0].split())
    assert again != killed
    assert_gone(killed)
    assert_gone(child)


def test_cancelled_call_does_not_poison_the_next(tmp_path: Path) -> None:
    ready = tmp_path / "ready"

    async def run() -> None:
        async with lambda_function(tmp_path, WAITING, max_workers=1) as (function, log):
            task = asyncio.create_task(function.invoke(str(ready)))
            killed = int((await log.until("working")).removeprefix("working "))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            ready.touch()
            assert await function.invoke(str(ready)) != killed

    asyncio.run(run())


@pytest.mark.parametrize(
    ("ending", "status"),
    [("sys.exit(3)", 3), ("os._exit(4)", 4), ("os.kill(os.getpid(), 9)", -9), ("sys.exit('x')", 1)],
)
def test_ended_process_is_reported_and_replaced(tmp_path: Path, ending: str, status: int) -> None:
    source = f"""
        import os, sys

        def handler(event, context):
            if event == "end":
                {ending}
            return event
    """
    (ended, again), _ = call(tmp_path, source, "end", "more")
    assert_failed(ended, "exit", f"the Lambda process ended (status {status}, see the Lambda's log)")
    assert again == "more"


def test_worker_that_died_while_idle_is_replaced(tmp_path: Path) -> None:
    async def run() -> None:
        async with lambda_function(tmp_path, COUNTING) as (function, _):
            first: Any = await function.invoke(0)
            (worker,) = function._workers
            os.kill(first["pid"], 9)
            await worker._process.wait()
            second: Any = await function.invoke(0)
            assert second["calls"] == 1
            assert second["pid"] != first["pid"]
            assert len(function._workers) == 1

    asyncio.run(run())


def test_exception_gives_its_class_but_not_its_text_and_keeps_the_worker(tmp_path: Path) -> None:
    source = """
        calls = 0

        def handler(event, context):
            global calls
            calls += 1
            if event == "raise":
                raise KeyError("hunter2")
            return calls
    """
    (raised, calls), log = call(tmp_path, source, "raise", 0)
    assert_failed(raised, "exception", "the handler raised KeyError (see the Lambda's log)")
    assert calls == 2
    assert "KeyError: 'hunter2'" in log


@pytest.mark.parametrize(
    ("expression", "cause"),
    [
        ("float('nan')", "ValueError"),
        ("{'a': [float('inf')]}", "ValueError"),
        ("b'bytes'", "TypeError"),
        ("{1, 2}", "TypeError"),
        ("chr(0xd800)", "UnicodeEncodeError"),
        ("loop", "ValueError"),
    ],
)
def test_answer_that_is_not_json_is_refused(tmp_path: Path, expression: str, cause: str) -> None:
    source = f"""
        loop = []
        loop.append(loop)

        def handler(event, context):
            return {expression} if event else "fine"
    """
    (bad, fine), _ = call(tmp_path, source, 1, 0)
    assert_failed(bad, "answer", f"the handler returned something that is not JSON ({cause})")
    assert fine == "fine"


def test_answer_may_have_six_megabytes_and_no_more(tmp_path: Path) -> None:
    source = "def handler(event, context): return event['text'] * event['times']"
    quotes = {"text": '"', "times": (MAX_PAYLOAD_BYTES - 2) // 2}  # each takes two bytes, and four in the frame
    euros = {"text": "€", "times": MAX_PAYLOAD_BYTES // 3}  # three bytes each, and six in the frame
    (largest, too_large, again), _ = call(tmp_path, source, quotes, euros, {"text": "x", "times": 1})
    assert largest == '"' * quotes["times"]
    assert_failed(too_large, "answer", f"the handler's answer is over {MAX_PAYLOAD_BYTES:,} bytes")
    assert again == "x"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (float("nan"), "the event is not JSON"),
        (b"x", "the event is not JSON"),
        ("x" * MAX_PAYLOAD_BYTES, f"the event is over {MAX_PAYLOAD_BYTES:,} bytes"),
    ],
)
def test_event_that_is_not_json_is_refused(tmp_path: Path, event: object, message: str) -> None:
    (refused,), _ = call(tmp_path, COUNTING, event)
    assert_failed(refused, "event", message)


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import no_such_module", "ModuleNotFoundError"),
        ("def handler(:", "SyntaxError"),
        ("other = 1", "AttributeError"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_handler_that_cannot_be_imported_is_reported_each_time(tmp_path: Path, source: str, cause: str) -> None:
    (first, second), log = call(tmp_path, source, 0, 0)
    for result in (first, second):
        assert_failed(result, "import", f"the handler cannot be imported ({cause}, see the Lambda's log)")
    assert sum(cause in line for line in log) == 2


def test_mended_handler_is_imported_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with lambda_function(tmp_path, "import no_such_module") as (function, _):
            with pytest.raises(FunctionError):
                await function.invoke(0)
            (tmp_path / "app.py").write_text("def handler(event, context):\n    return 'mended at last'\n")
            assert await function.invoke(0) == "mended at last"

    asyncio.run(run())


def test_what_the_handler_prints_is_its_log_and_not_its_answer(tmp_path: Path) -> None:
    source = """
        import os, subprocess, sys

        def handler(event, context):
            print('{"id": "forged"}')
            sys.stdout.write("no newline ")
            sys.stderr.write("and stderr\\n")
            os.write(1, b"raw \\xff \\x1b[31m\\n")
            subprocess.run(["echo", "from a child"])
            return sys.stdin.read()
    """
    (answer,), log = call(tmp_path, source, 0)
    assert answer == ""
    assert log == ['{"id": "forged"}', "no newline and stderr", "raw \\xff \\x1b[31m", "from a child"]


def test_environment_is_lambdas_and_the_functions_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the host")
    monkeypatch.setenv("PYTHONPATH", "/of/the/host")
    source = """
        import os, sys

        def handler(event, context):
            return {"env": dict(os.environ), "cwd": os.getcwd(), "path": sys.path}
    """
    (answer,), _ = call(tmp_path, source, 0, environment={"MQTT443_STORE": "file:x", "PATH": "/bin"})
    environment = answer["env"]
    stream = environment.pop("AWS_LAMBDA_LOG_STREAM_NAME")
    assert stream.startswith("local/[$LATEST]")
    assert environment.pop("AWS_EXECUTION_ENV").startswith("AWS_Lambda_python3.")
    assert environment == {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_LAMBDA_FUNCTION_NAME": "fn",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn",
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "LANG": "C.UTF-8",
        "MQTT443_STORE": "file:x",
        "PATH": "/bin",
        "TZ": ":UTC",
        "_HANDLER": "app.handler",
    }
    assert answer["cwd"] == str(tmp_path)
    assert answer["path"][0] == str(tmp_path)
    assert not any("site-packages" in entry or "localcore" in entry for entry in answer["path"])


def test_function_sees_no_installed_package_but_those_in_its_layers(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "sdk.py").write_text("name = 'layer'")
    code = tmp_path / "code"
    code.mkdir()
    source = """
        import importlib.util, sdk

        def handler(event, context):
            return [sdk.name, importlib.util.find_spec("cryptography"), importlib.util.find_spec("tools")]
    """
    (answer,), _ = call(code, source, 0, layers=[layer])
    assert answer == ["layer", None, None]


def test_context_is_lambdas(tmp_path: Path) -> None:
    source = """
        def handler(event, context):
            return {
                "request": context.aws_request_id,
                "name": context.function_name,
                "version": context.function_version,
                "arn": context.invoked_function_arn,
                "memory": context.memory_limit_in_mb,
                "group": context.log_group_name,
                "stream": context.log_stream_name[:6],
                "client": [context.identity, context.client_context],
                "left": context.get_remaining_time_in_millis(),
            }
    """
    (first, second), _ = call(tmp_path, source, 0, 0, memory_mb=256)
    assert first.pop("request") != second["request"]
    assert 0 < first.pop("left") <= 20_000
    assert first == {
        "name": "fn",
        "version": "$LATEST",
        "arn": "arn:aws:lambda:eu-west-1:123456789012:function:fn",
        "memory": "256",
        "group": "/aws/lambda/fn",
        "stream": "local/",
        "client": [None, None],
    }


def test_zip_of_code_works_like_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("pack/__init__.py", "")
        archive.writestr("pack/app.py", "def handler(event, context): return [event, __name__]")

    async def run() -> object:
        function = LambdaFunction(
            tmp_path / "code.zip",
            "pack.app.handler",
            environment={},
            name="fn",
            region="eu-west-1",
            account="1" * 12,
            on_log=LogLines().take,
        )
        try:
            return await function.invoke("hi")
        finally:
            await function.close()

    assert asyncio.run(run()) == ["hi", "pack.app"]


def test_calls_beyond_the_pool_wait_and_those_beyond_the_queue_are_throttled(tmp_path: Path) -> None:
    ready = tmp_path / "ready"

    async def run() -> None:
        async with lambda_function(tmp_path, WAITING, max_workers=2, max_waiting=1) as (function, _):
            calls = [asyncio.create_task(function.invoke(str(ready))) for _ in range(4)]
            done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=20)
            assert done == {calls[3]}
            with pytest.raises(FunctionError, match="too many calls") as throttled:
                await calls[3]
            assert throttled.value.kind == "throttled"
            ready.touch()
            pids = [await call for call in calls if call in waiting]
            assert len(set(pids)) == 2
            assert len(function._workers) == 2

    asyncio.run(run())


def test_waiting_for_a_worker_counts_towards_the_limit(tmp_path: Path) -> None:
    async def run() -> list[object]:
        async with lambda_function(tmp_path, WAITING, max_workers=1, timeout_s=0.5) as (function, log):
            results = await asyncio.gather(*(function.invoke("never") for _ in range(2)), return_exceptions=True)
        assert len(log) <= 1, "the second event must not have reached a handler"
        return list(results)

    for result in asyncio.run(run()):
        assert_failed(result, "timeout", "the Lambda did not answer within 0.5 s")


def test_close_ends_calls_under_way_and_in_the_queue(tmp_path: Path) -> None:
    async def run() -> None:
        async with lambda_function(tmp_path, WAITING, max_workers=1) as (function, log):
            calls = [asyncio.create_task(function.invoke("never")) for _ in range(2)]
            pid = int((await log.until("working")).removeprefix("working "))
            await function.close()
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [getattr(result, "kind", result) for result in results] == ["exit", "closed"]
            assert_gone(pid)

    asyncio.run(run())


def test_works_on_an_event_loop_outside_the_main_thread(tmp_path: Path) -> None:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call(tmp_path, COUNTING, "x")[0]), daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert [answer["event"] for answers in results for answer in answers] == ["x"]


def test_answer_that_breaks_the_protocol_costs_the_worker(tmp_path: Path) -> None:
    source = """
        import os
        calls = 0

        def handler(event, context):
            global calls
            calls += 1
            if event:
                # Whatever the handler can reach, the parent believes only the frame with the right id.
                for number in range(3, 20):
                    try:
                        os.write(number, event.encode())
                    except OSError:
                        pass
            return calls
    """
    for forged in ('{"id": "forged", "answer": "1"}\n', "[]\n", "garbage\n", "\xff\n"):
        (broken, again), _ = call(tmp_path, source, forged, "")
        assert_failed(broken, "answer", "the Lambda process broke its protocol")
        assert again == 1


def test_bad_definition_is_refused(tmp_path: Path) -> None:
    def define(code: Path, **environment: str) -> LambdaFunction:
        return LambdaFunction(
            code, "app.handler", environment=environment, name="fn", region="r", account="1", on_log=print
        )

    with pytest.raises(ValueError, match="no Lambda code"):
        define(tmp_path / "missing")
    with pytest.raises(ValueError, match="Lambda sets AWS_REGION itself"):
        define(tmp_path, AWS_REGION="x")


def test_process_that_cannot_start_is_reported(tmp_path: Path) -> None:
    async def run() -> None:
        code = tmp_path / "code"
        code.mkdir()
        async with lambda_function(code, COUNTING) as (function, _):
            (code / "app.py").unlink()
            code.rmdir()
            with pytest.raises(FunctionError, match="cannot start: No such file") as failed:
                await function.invoke(0)
            assert failed.value.kind == "exit"

    asyncio.run(run())
