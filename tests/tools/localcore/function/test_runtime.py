"""The pool of real worker processes: warm, bounded, cut off, and replaced."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.localcore.localcore_errors import FunctionError

from tests.support.aws.lambda_functions import COUNTING, assert_failed, call, lambda_function

# A handler that waits until a file exists, or forever.
WAITING = """
    import os, time

    def handler(event, context):
        print("working", os.getpid(), flush=True)
        while not os.path.exists(str(event)):
            time.sleep(0.005)
        return os.getpid()
"""


def is_running(pid: int) -> bool:
    """Whether the process lives; an orphan that nothing has reaped yet counts as gone."""
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


def test_calls_beyond_the_pool_queue_and_then_are_throttled(tmp_path: Path) -> None:
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


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail if that takes very long."""
    give_up = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)


def test_idle_workers_end_and_a_new_one_starts_on_demand(tmp_path: Path) -> None:
    async def run() -> None:
        async with lambda_function(tmp_path, WAITING, idle_s=0.2) as (function, _):
            go = tmp_path / "go"
            calls = [asyncio.create_task(function.invoke(str(go))) for _ in range(3)]
            await until(lambda: len(function._workers) == 3)
            go.touch()
            pids: list[Any] = await asyncio.gather(*calls)
            assert len(set(pids)) == 3, "as many environments as calls at once"
            await until(lambda: not function._workers and not function._ending)
            for pid in pids:
                assert_gone(pid)
            assert await function.invoke(str(go)) not in pids

    asyncio.run(run())
