"""What a handler sees, and what becomes of what it prints, raises and returns."""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path

import pytest
from mqtt443_tools.localcore.function.runtime import MAX_PAYLOAD_BYTES, LambdaFunction
from mqtt443_tools.localcore.localcore_errors import FunctionError

from tests.support.aws.lambda_functions import COUNTING, LogLines, assert_failed, call, lambda_function


def test_exception_reports_only_its_class_and_keeps_the_worker(tmp_path: Path) -> None:
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
    times = (MAX_PAYLOAD_BYTES - 2) // 2
    quotes = {"text": '"', "times": times}  # each takes two bytes, and four in the frame
    euros = {"text": "€", "times": MAX_PAYLOAD_BYTES // 3}  # three bytes each, and six in the frame
    (largest, too_large, again), _ = call(tmp_path, source, quotes, euros, {"text": "x", "times": 1})
    assert largest == '"' * times
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


def test_output_of_the_handler_is_its_log_not_its_answer(tmp_path: Path) -> None:
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


def test_function_sees_only_the_packages_in_its_layers(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "sdk.py").write_text("name = 'layer'")
    code = tmp_path / "code"
    code.mkdir()
    source = """
        import importlib.util, sdk

        def handler(event, context):
            return [sdk.name, importlib.util.find_spec("cryptography"), importlib.util.find_spec("mqtt443_tools")]
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
