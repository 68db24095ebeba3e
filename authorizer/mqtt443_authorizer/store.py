"""The interface of all credential stores, and the choice of one by a setting.

SqliteStore (sqlitestore.py) serves the local endpoint, DynamoStore (dynamostore.py) the cloud, and MemoryStore
(memorystore.py) the tests.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.dynamostore import DynamoStore
from mqtt443_authorizer.errors import SettingsError

_TABLE = re.compile(r"[a-zA-Z0-9_.-]{3,255}")  # CreateTable, "Amazon DynamoDB API Reference"


class CredentialStore(Protocol):
    """Stores devices with unique user names and unique client ids. Every method may raise StoreError."""

    def by_username(self, username: str) -> Device | None:
        """Return the device with a user name, or None."""

    def by_client_id(self, client_id: str) -> Device | None:
        """Return the device with a client id, or None."""

    def add(self, device: Device) -> None:
        """Store a new device.

        Raises:
            AlreadyRegistered: its client id or its user name is in use.
        """

    def add_many(self, devices: Sequence[Device]) -> None:
        """Store new devices: all of them or, if this raises, none.

        DynamoDB stores them in batches; a process that is killed in between leaves the batches that it has written.

        Raises:
            AlreadyRegistered: a client id or a user name is in use, or occurs twice; the text names one.
        """

    def replace(self, device: Device) -> Device:
        """Replace a device; its client id and user name cannot change.

        Args:
            device: with the version that it had when it was read.

        Returns:
            The device as stored; its version is one higher.

        Raises:
            Conflict: the stored device has another version.
            NotRegistered: the device no longer exists.
        """

    def remove(self, client_id: str) -> None:
        """Remove a device.

        Raises:
            NotRegistered: no device has this client id.
        """

    def all(self) -> list[Device]:
        """Return all devices, sorted by client id."""


def open_store(setting: str) -> CredentialStore:
    """Open the store that a setting names: `sqlite:/ABSOLUTE/PATH` or `dynamodb:TABLE`.

    Raises:
        SettingsError: the setting is neither.
    """
    kind, _, name = setting.partition(":")
    if kind == "sqlite" and Path(name).is_absolute():
        # Lambda uses the other store, and should not load sqlite3 at each cold start.
        from mqtt443_authorizer.sqlitestore import SqliteStore  # noqa: PLC0415

        return SqliteStore(Path(name))
    if kind == "dynamodb" and _TABLE.fullmatch(name):
        return DynamoStore(name)
    raise SettingsError("MQTT443_STORE must be sqlite:/ABSOLUTE/PATH or dynamodb:TABLE")
