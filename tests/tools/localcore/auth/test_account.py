"""The account that the local endpoint emulates."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.localcore.auth.account import product_authorizer
from mqtt443_tools.localcore.settings import Settings


@pytest.mark.parametrize("environments", [1, 3])
def test_concurrent_calls_get_environments_up_to_the_setting(tmp_path: Path, environments: int) -> None:
    package = tmp_path / "code" / "mqtt443_authorizer"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "handler.py").write_text("import os\n\n\ndef handler(event, context):\n    return os.getpid()\n")
    settings = Settings(state=tmp_path / "state", max_environments=environments)

    async def pids() -> list[Any]:
        function = product_authorizer(settings, print, tmp_path / "code").function
        try:
            return await asyncio.gather(*(function.invoke({}) for _ in range(3)))
        finally:
            await function.close()

    assert len(set(asyncio.run(pids()))) == environments
