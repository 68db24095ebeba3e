"""An account for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.localcore.jobs.account import Account


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    account = Account(tmp_path / "state")
    yield account
    account.services.close()
