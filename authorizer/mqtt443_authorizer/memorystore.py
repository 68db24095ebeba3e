"""A credential store in memory, with an index for each of the two unique names."""

from collections.abc import Iterable

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.errors import AlreadyRegistered, Conflict, NotRegistered


class MemoryStore:
    """A CredentialStore (see store.py, also for the methods) that lives as long as the process."""

    def __init__(self, devices: Iterable[Device] = ()) -> None:
        self._by_client_id: dict[str, Device] = {}
        self._by_username: dict[str, Device] = {}
        for device in devices:
            self.add(device)

    def by_username(self, username: str) -> Device | None:
        """Give the device of a user name, None if there is none."""
        return self._by_username.get(username)

    def by_client_id(self, client_id: str) -> Device | None:
        """Give the device of a client id, None if there is none."""
        return self._by_client_id.get(client_id)

    def add(self, device: Device) -> None:
        """Keep a new device."""
        if device.client_id in self._by_client_id:
            raise AlreadyRegistered(f"the client id {device.client_id} is already registered")
        if device.username in self._by_username:
            raise AlreadyRegistered(f"the user name {device.username} is already registered")
        self._put(device)

    def replace(self, device: Device) -> Device:
        """Change a device."""
        stored = self._registered(device.client_id)
        if (stored.version, stored.username) != (device.version, device.username):
            raise Conflict(f"{device.client_id} was changed in the meantime: run the command again")
        changed = device._replace(version=device.version + 1)
        self._put(changed)
        return changed

    def remove(self, client_id: str) -> None:
        """Forget a device."""
        device = self._registered(client_id)
        del self._by_client_id[client_id], self._by_username[device.username]

    def all(self) -> list[Device]:
        """Give all devices in the order of their client ids."""
        return sorted(self._by_client_id.values(), key=lambda device: device.client_id)

    def _put(self, device: Device) -> None:
        self._by_client_id[device.client_id] = self._by_username[device.username] = device

    def _registered(self, client_id: str) -> Device:
        device = self._by_client_id.get(client_id)
        if device is None:
            raise NotRegistered(f"no device with the client id {client_id} is registered")
        return device
