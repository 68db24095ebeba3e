"""AWS IoT Jobs as one interface for `update`, with the same calls for AWS and for the local endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class JobService(Protocol):
    """The control plane of AWS IoT; every method may raise CommandError."""

    poll_s: float
    """Seconds between two polls of a job."""

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make one call, such as `create_job`, with boto3's names and parameters."""

    def find(self, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """Make one call; return None if its subject does not exist."""

    def items(self, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of all pages of a list."""

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a `thing` or a `thinggroup`."""

    def store(self, name: str, content: bytes) -> dict[str, str]:
        """Store an object for a stream; return its `bucket` and `key`."""

    def discard(self, name: str) -> None:
        """Remove such an object; harmless if there is none."""

    def role_arn(self) -> str:
        """Return the role with which AWS IoT reads such objects."""
