"""The interface of all credential stores, and the choice of one by a setting.

FileStore (filestore.py) serves the local endpoint and DynamoStore (dynamostore.py) the cloud. MemoryStore
(memorystore.py) serves the tests, and is the part of FileStore that lives in memory.
"""

import re
from pathlib import Path
from typing import Protocol

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.dynamostore import DynamoStore
from mqtt443_authorizer.errors import SettingsError
from mqtt443_authorizer.filestore import FileStore
from mqtt443_authorizer.memorystore import MemoryStore

__all__ = ["CredentialStore", "DynamoStore", "FileStore", "MemoryStore", "open_store"]

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
    """Open the store that a setting names: `file:/ABSOLUTE/PATH` or `dynamodb:TABLE`.

    Raises:
        SettingsError: the setting is neither.
    """
    kind, _, name = setting.partition(":")
    if kind == "file" and Path(name).is_absolute():
        return FileStore(Path(name))
    if kind == "dynamodb" and _TABLE.fullmatch(name):
        return DynamoStore(name)
    raise SettingsError("MQTT443_STORE must be file:/ABSOLUTE/PATH or dynamodb:TABLE")
