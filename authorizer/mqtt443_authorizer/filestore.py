"""A credential store in one JSON file, for the local endpoint and the commands that manage its devices.

Writing replaces the file, so readers always see it whole; a lock file makes writers take turns. The file is read again
only after it has changed.
"""

import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mqtt443_authorizer.device import Device, from_json, to_json
from mqtt443_authorizer.errors import AuthorizerError, StoreError
from mqtt443_authorizer.files import make_private_folder, write_private
from mqtt443_authorizer.memorystore import MemoryStore

MAX_FILE_BYTES = 64 * 1024 * 1024
LOCK_ATTEMPTS = 200
LOCK_PAUSE_S = 0.025  # five seconds in all


class FileStore:
    """A CredentialStore in a file of mode 0600; store.py documents the methods.

    A missing file counts as one without devices; the first `add` creates it, and its folder with mode 0700.

    Args:
        path: the JSON file; the lock file is `PATH.lock` beside it.
        sleep: called with seconds between two attempts to get the lock.
    """

    def __init__(self, path: Path, sleep: Callable[[float], object] = time.sleep) -> None:
        self._path = path
        self._sleep = sleep
        self._seen: tuple[int, int, int] | None = None
        self._devices = MemoryStore()

    def by_username(self, username: str) -> Device | None:
        """Return the device with a user name, or None."""
        return self._read().by_username(username)

    def by_client_id(self, client_id: str) -> Device | None:
        """Return the device with a client id, or None."""
        return self._read().by_client_id(client_id)

    def all(self) -> list[Device]:
        """Return all devices, sorted by client id."""
        return self._read().all()

    def add(self, device: Device) -> None:
        """Store a new device."""
        with self._changing() as devices:
            devices.add(device)

    def replace(self, device: Device) -> Device:
        """Replace a device."""
        with self._changing() as devices:
            return devices.replace(device)

    def remove(self, client_id: str) -> None:
        """Remove a device."""
        with self._changing() as devices:
            devices.remove(client_id)

    @contextmanager
    def _changing(self) -> Iterator[MemoryStore]:
        """Yield the stored devices under the lock, and write them back unless the caller raises."""
        with self._reported(), self._locked():
            devices = MemoryStore(self._read().all())
            yield devices
            document = {"format": 1, "devices": [to_json(device) for device in devices.all()]}
            write_private(self._path, json.dumps(document, indent=1).encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl  # noqa: PLC0415 - POSIX only; commands that need no lock run without it

        make_private_folder(self._path.parent)
        lock_path = self._path.with_name(f"{self._path.name}.lock")
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for _ in range(LOCK_ATTEMPTS):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._sleep(LOCK_PAUSE_S)
            else:
                raise StoreError(f"{self._path}: another command is changing it: try again when it has finished")
            yield
        finally:
            os.close(descriptor)  # releases the lock

    def _read(self) -> MemoryStore:
        with self._reported():
            try:
                descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                self._seen, self._devices = None, MemoryStore()
                return self._devices
            with os.fdopen(descriptor, "rb") as file:
                state = os.fstat(descriptor)
                if state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise StoreError(f"{self._path}: other users can access it: chmod 600 {self._path}")
                seen = (state.st_mtime_ns, state.st_size, state.st_ino)
                if seen != self._seen:
                    self._devices = self._parse(file.read(MAX_FILE_BYTES + 1))
                    self._seen = seen
            return self._devices

    def _parse(self, content: bytes) -> MemoryStore:
        if len(content) > MAX_FILE_BYTES:
            raise StoreError(f"{self._path}: larger than {MAX_FILE_BYTES} bytes")
        try:
            document = json.loads(content)
            if not isinstance(document, dict) or document.get("format") != 1:
                raise StoreError("not a device file of format 1")
            devices = document.get("devices")
            return MemoryStore(map(from_json, devices if isinstance(devices, list) else [devices]))
        except (ValueError, RecursionError, AuthorizerError) as error:
            raise StoreError(
                f"{self._path}: broken: {error}: restore it, or move it away and add the devices again"
            ) from error

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Translate errors of the operating system into a StoreError."""
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror or type(error).__name__}") from error
