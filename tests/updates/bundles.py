"""Bundles as a host makes them, from what docs/updates.md says of the format."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tests.support.mqtt.job_server import JobServer


def bundle(files: Mapping[str, bytes | None]) -> bytes:
    """Return the bytes of a bundle; None deletes a file."""
    data = b""
    for path, content in files.items():
        if content is None:
            head: dict[str, Any] = {"path": path, "delete": True}
        else:
            head = {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        data += json.dumps(head).encode() + b"\n" + (content or b"")
    return data


def inline(data: bytes) -> dict[str, Any]:
    """Return the member `bundle` of a document that holds it."""
    digest = hashlib.sha256(data).hexdigest()
    return {"size": len(data), "sha256": digest, "data": base64.b64encode(data).decode()}


def stream(server: JobServer, name: str, data: bytes) -> dict[str, Any]:
    """Put the bundle into a stream of the server; return the member `bundle` of a document."""
    server.streams[name] = data
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "stream": name}
