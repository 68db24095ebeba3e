"""A credential store in memory, indexed by client id and by user name."""

from collections.abc import Iterable, Sequence

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.errors import AlreadyRegistered, Conflict, NotRegistered


class MemoryStore:
    """A CredentialStore that lives as long as the process; store.py documents the methods."""

    def __init__(self, devices: Iterable[Device] = ()) -> None:
        self._by_client_id: dict[str, Device] = {}
        self._by_username: dict[str, Device] = {}
        for device in devices:
            self._put_new(device)

    def by_username(self, username: str) -> Device | None:
        """Return the device with a user name, or None."""
        return self._by_username.get(username)

    def by_client_id(self, client_id: str) -> Device | None:
        """Return the device with a client id, or None."""
        return self._by_client_id.get(client_id)

    def add(self, device: Device) -> None:
        """Store a new device."""
        self._put_new(device)

    def add_many(self, devices: Sequence[Device]) -> None:
        """Store new devices."""
        both = MemoryStore([*self.all(), *devices])
        self._by_client_id, self._by_username = both._by_client_id, both._by_username

    def replace(self, device: Device) -> Device:
        """Replace a device."""
        stored = self._registered(device.client_id)
        if (stored.version, stored.username) != (device.version, device.username):
            raise Conflict(f"{device.client_id} was changed by another command: run the command again")
        changed = device._replace(version=device.version + 1)
        self._put(changed)
        return changed

    def remove(self, client_id: str) -> None:
        """Remove a device."""
        device = self._registered(client_id)
        del self._by_client_id[client_id], self._by_username[device.username]

    def all(self) -> list[Device]:
        """Return all devices, sorted by client id."""
        return sorted(self._by_client_id.values(), key=lambda device: device.client_id)

    def _put_new(self, device: Device) -> None:
        if device.client_id in self._by_client_id:
            raise AlreadyRegistered(f"the client id {device.client_id} is already registered")
        if device.username in self._by_username:
            raise AlreadyRegistered(f"the user name {device.username} is already registered")
        self._put(device)

    def _put(self, device: Device) -> None:
        self._by_client_id[device.client_id] = self._by_username[device.username] = device

    def _registered(self, client_id: str) -> Device:
        device = self._by_client_id.get(client_id)
        if device is None:
            raise NotRegistered(f"no device with the client id {client_id} is registered")
        return device
