"""Registers a device and writes its config.json, both or neither."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mqtt443_tools.device import registration
from mqtt443_tools.device.backends import DeviceBackend
from mqtt443_tools.device.device_console import credentials, reported
from mqtt443_tools.device.registration import Added
from mqtt443_tools.support.config_file import copy_ca, read_config, update_config


def add_with_config(
    backend: DeviceBackend,
    client_id: str,
    out: Path,
    *,
    now: float,
    username: str | None = None,
    password: str | None = None,
    publish: Sequence[str] = (),
    subscribe: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
    ca: Path | None = None,
) -> Added:
    """Register a device, and write its keys into config.json; other keys there are kept.

    Args:
        backend: where it is registered.
        client_id: of the device.
        out: the config.json.
        now: Unix seconds.
        username: the client id if not given.
        password: a chosen one; generated if not given.
        publish: topics of its own.
        subscribe: topic filters of its own.
        overrides: keys that override the backend's.
        ca: its CA file; the backend's if not given.

    Raises:
        CommandError: it cannot be registered, or the file cannot be written; then it is not registered.
    """
    read_config(out)  # a file that cannot be merged must fail before the password exists
    with reported():
        config = backend.config() | dict(overrides or {})
        added = registration.add_device(
            backend.store,
            client_id,
            username=username,
            password=password,
            publish=publish,
            subscribe=subscribe,
            now=now,
            template=backend.template(),
        )
    try:
        config["ca"] = backend.write_ca(out) if ca is None else copy_ca(ca, out)
        update_config(out, {**config, **credentials(added)})
    except BaseException:  # Ctrl-C too
        with reported():
            registration.remove(backend.store, client_id)  # because its password is lost
        raise
    return added


def rotate_with_config(backend: DeviceBackend, client_id: str, out: Path, *, now: float) -> Added:
    """Give a registered device a new password, and write its keys into config.json; other keys there are kept.

    Raises:
        CommandError: it failed, and the old password remains the newest one.
    """
    read_config(out)
    with reported():
        config = backend.config()
        rotated = registration.rotate(backend.store, client_id, now=now)
    try:
        config["ca"] = backend.write_ca(out)
        update_config(out, {**config, **credentials(rotated)})
    except BaseException:  # Ctrl-C too
        with reported():
            registration.take_back(backend.store, rotated)
        raise
    return rotated
