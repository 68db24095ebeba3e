"""Where devices are kept: the one interface, and the choice of a store by a setting.

FileStore (filestore.py) serves the local endpoint, DynamoStore (dynamostore.py) the cloud; MemoryStore
(memorystore.py) serves tests and is what the FileStore holds in memory.
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
    """Devices, with unique user names and unique client ids. Every method may raise StoreError."""

    def by_username(self, username: str) -> Device | None:
        """Give the device of a user name, None if there is none."""

    def by_client_id(self, client_id: str) -> Device | None:
        """Give the device of a client id, None if there is none."""

    def add(self, device: Device) -> None:
        """Keep a new device.

        :raises AlreadyRegistered: its client id or its user name is taken
        """

    def replace(self, device: Device) -> Device:
        """Change a device; its client id and user name stay as they are.

        :param device: with the version that it had when it was read
        :return: the device as stored, its version one higher
        :raises Conflict: the stored device has another version
        :raises NotRegistered: there is no such device any more
        """

    def remove(self, client_id: str) -> None:
        """Forget a device.

        :raises NotRegistered: there is none with this client id
        """

    def all(self) -> list[Device]:
        """Give all devices in the order of their client ids."""


def open_store(setting: str) -> CredentialStore:
    """Make the store that a setting names: `file:/ABSOLUTE/PATH` or `dynamodb:TABLE`.

    :raises SettingsError: it is neither
    """
    kind, _, name = setting.partition(":")
    if kind == "file" and Path(name).is_absolute():
        return FileStore(Path(name))
    if kind == "dynamodb" and _TABLE.fullmatch(name):
        return DynamoStore(name)
    raise SettingsError("MQTT443_STORE must be file:/ABSOLUTE/PATH or dynamodb:TABLE")
