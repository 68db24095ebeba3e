"""The actions on devices that the page offers; they make the same calls as `mqtt443 device`."""

from __future__ import annotations

import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

from mqtt443_tools.console.source import Source
from mqtt443_tools.device import registration
from mqtt443_tools.device.backends import DeviceBackend
from mqtt443_tools.device.device_console import credentials
from mqtt443_tools.support.errors import UsageError


def listed(source: Source) -> list[dict[str, Any]]:
    """Return the registered devices, without secrets."""
    seen = source.seen()
    return [
        {
            "version": known.version if (known := seen.get(device.client_id)) is not None else None,
            "last_seen": known.at if known is not None else None,
            "client_id": device.client_id,
            "username": device.username,
            "enabled": device.enabled,
            "created_at": device.created_at,
        }
        for device in source.devices()
    ]


def change(source: Source, action: str, client_id: str, *, now: float) -> dict[str, Any]:
    """Carry out an action on a device.

    Args:
        source: where it is registered.
        action: add, rotate, enable, disable, remove or disconnect.
        client_id: of the device.
        now: Unix seconds.

    Returns:
        For add and rotate, the `config` of the device with its new password; for add, also the content of its `ca`
        file in Base64; else an empty object.

    Raises:
        UsageError: there is no such action.
        AuthorizerError: see mqtt443_tools.device.registration.
    """
    try:
        return _change(source.backend, action, client_id, now)
    finally:
        source.forget_devices()


def _change(backend: DeviceBackend, action: str, client_id: str, now: float) -> dict[str, Any]:
    match action:
        case "add":
            config = backend.config()
            added = registration.add_device(backend.store, client_id, now=now, template=backend.template())
            with tempfile.TemporaryDirectory(prefix="mqtt443-console-") as folder:
                written = Path(folder) / "config.json"
                config["ca"] = backend.write_ca(written)
                ca = b64encode((written.parent / str(config["ca"])).read_bytes()).decode()
            return {"config": {**config, **credentials(added)}, "ca": ca}
        case "rotate":
            return {"config": credentials(registration.rotate(backend.store, client_id, now=now))}
        case "enable":
            registration.set_enabled(backend.store, client_id, True)
        case "disable":
            registration.set_enabled(backend.store, client_id, False)
            backend.disconnect(client_id)
        case "remove":
            registration.remove(backend.store, client_id)
            backend.disconnect(client_id)
        case "disconnect":
            backend.disconnect(client_id)
        case _:
            raise UsageError(f"there is no action {action}")
    return {}
