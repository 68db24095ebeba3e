"""Small Lambda functions for tests: a handler's source becomes a LambdaFunction with real worker processes."""

from __future__ import annotations

import asyncio
import functools
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.localcore.localcore_errors import FunctionError

REGION = "eu-west-1"
ACCOUNT = "123456789012"
COUNTING = """
    import os
    calls = 0

    def handler(event, context):
        global calls
        calls += 1
        return {"calls": calls, "pid": os.getpid(), "event": event}
"""


class LogLines(list[str]):
    """The lines a function printed; `until` waits for one."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def take(self, line: str) -> None:
        self.append(line)
        self._more.set()

    async def until(self, part: str, timeout_s: float = 20.0) -> str:
        """The first line that contains `part`, waited for."""
        async with asyncio.timeout(timeout_s):
            while not (found := [line for line in self if part in line]):
                self._more.clear()
                await self._more.wait()
        return found[0]


@asynccontextmanager
async def lambda_function(folder: Path, source: str, **options: Any) -> AsyncIterator[tuple[LambdaFunction, LogLines]]:
    """Write `source` as app.py into `folder` and run its `handler`; closes the function at the end.

    Leaving the block also waits for the log, so that everything printed is available afterwards.
    """
    (folder / "app.py").write_text(textwrap.dedent(source))
    log = LogLines()
    options = {"environment": {}, "timeout_s": 20.0, **options}
    function = LambdaFunction(
        folder, "app.handler", name="fn", region=REGION, account=ACCOUNT, on_log=log.take, **options
    )
    try:
        yield function, log
    finally:
        await function.close()


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


@functools.cache
def signing_key(name: str = "key", bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key, created once per test run for each name and size."""
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """The PEM text of the public half."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
