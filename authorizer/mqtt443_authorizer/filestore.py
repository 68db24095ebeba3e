"""A credential store in one JSON file, for the local endpoint and for the commands beside it.

Readers see the file whole, as writing replaces it; writers take turns through a lock file. The file is read again
only when it changed.
"""

import fcntl
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
LOCK_TRIES = 200
LOCK_PAUSE_S = 0.025  # 200 times: five seconds


class FileStore:
    """A CredentialStore (see store.py, also for the methods) in a file of mode 0600.

    A file that is not there holds no devices; the first `add` makes it, and its folder with mode 0700.

    :param path: of the JSON file; `PATH.lock` beside it is the lock file
    :param sleep: called with seconds between two tries to get the lock
    """

    def __init__(self, path: Path, sleep: Callable[[float], object] = time.sleep) -> None:
        self._path = path
        self._sleep = sleep
        self._seen: tuple[int, int, int] | None = None
        self._devices = MemoryStore()

    def by_username(self, username: str) -> Device | None:
        """Give the device of a user name, None if there is none."""
        return self._read().by_username(username)

    def by_client_id(self, client_id: str) -> Device | None:
        """Give the device of a client id, None if there is none."""
        return self._read().by_client_id(client_id)

    def all(self) -> list[Device]:
        """Give all devices in the order of their client ids."""
        return self._read().all()

    def add(self, device: Device) -> None:
        """Keep a new device."""
        with self._changing() as devices:
            devices.add(device)

    def replace(self, device: Device) -> Device:
        """Change a device."""
        with self._changing() as devices:
            return devices.replace(device)

    def remove(self, client_id: str) -> None:
        """Forget a device."""
        with self._changing() as devices:
            devices.remove(client_id)

    @contextmanager
    def _changing(self) -> Iterator[MemoryStore]:
        """Let the caller change what is stored now, alone, and write it if the caller raised nothing."""
        with self._reported(), self._locked():
            devices = MemoryStore(self._read().all())
            yield devices
            document = {"format": 1, "devices": [to_json(device) for device in devices.all()]}
            write_private(self._path, json.dumps(document, indent=1).encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        make_private_folder(self._path.parent)
        lock_path = self._path.with_name(f"{self._path.name}.lock")
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for _ in range(LOCK_TRIES):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._sleep(LOCK_PAUSE_S)
            else:
                raise StoreError(f"{self._path}: another command is changing it: try again when that has ended")
            yield
        finally:
            os.close(descriptor)  # gives the lock back

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
                    raise StoreError(f"{self._path}: others can read it: chmod 600 {self._path}")
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
                raise StoreError("not a file of devices in format 1")
            devices = document.get("devices")
            return MemoryStore(map(from_json, devices if isinstance(devices, list) else [devices]))
        except (ValueError, RecursionError, AuthorizerError) as error:
            raise StoreError(f"{self._path}: broken: {error}: restore it, or move it away and add again") from error

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn what the operating system says into a StoreError."""
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror or type(error).__name__}") from error
