"""AWS IoT Jobs of a running local endpoint, for `mqtt443 update`, called over its control channel."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from mqtt443_authorizer.errors import AuthorizerError

from mqtt443_tools.localcore.control.control_client import ControlClient, ControlError, IotRefused
from mqtt443_tools.localcore.jobs.jobs_database import JOBS_FILE, open_jobs_database
from mqtt443_tools.localcore.jobs.streams import remove_object, store_object
from mqtt443_tools.localcore.settings import Settings

BUCKET = "mqtt443-updates"


class LocalJobs:
    """A `JobService` of the endpoint that runs on a state folder. Raises the errors of `ControlClient`."""

    poll_s = 0.5

    def __init__(self, state: Path) -> None:
        self._state = state
        known = Settings(state=state)
        self._arn_prefix = known.arn_prefix

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """See JobService."""
        with ControlClient(self._state) as control:
            return control.iot(operation, parameters)

    def find(self, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """See JobService."""
        try:
            return self.call(operation, **parameters)
        except IotRefused as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise

    def items(self, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """See JobService."""
        while True:
            page = self.call(operation, **parameters)
            yield from page.get(key, ())
            if "nextToken" not in page:
                return
            parameters["nextToken"] = page["nextToken"]

    def arn(self, kind: str, name: str) -> str:
        """See JobService."""
        return f"{self._arn_prefix}:{kind}/{name}"

    def store(self, name: str, content: bytes) -> dict[str, str]:
        """See JobService: the emulated bucket is in the state folder."""
        with self._database() as database:
            store_object(database, BUCKET, name, content)
        return {"bucket": BUCKET, "key": name}

    def discard(self, name: str) -> None:
        """See JobService."""
        with self._database() as database:
            remove_object(database, BUCKET, name)

    def role_arn(self) -> str:
        """See JobService: the local endpoint does not check it."""
        account = self._arn_prefix.rpartition(":")[2]
        return f"arn:aws:iam::{account}:role/mqtt443-streams"

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(open_jobs_database(self._state / JOBS_FILE)) as database:
                yield database
        except (OSError, sqlite3.Error, AuthorizerError, ValueError) as error:
            raise ControlError(f"{self._state / JOBS_FILE}: {error}") from error
