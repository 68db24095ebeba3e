"""What figures are measured with: an endpoint, a relay that counts and delays, an interpreter that runs a client."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.core import RunningCore
from tests.support.relay import Passage, Relay, Treatment
from tools.errors import CommandError
from tools.paths import ROOT, UMQTT
from tools.virtualboard import interpreters

PROGRAMS = ROOT / "bench" / "programs"
FIRMWARE = ROOT / "firmware"
CLIENT_ID = "bench-0123456789abcdef"
TIMEOUT_S = 300.0

# A client, the transport in its config, and whether it talks to the domain listener, which needs no ALPN.
CLIENTS = {
    "ours": ("ours", "alpn", False),
    "ours, wss": ("ours", "wss", False),
    "ours, tls": ("ours", "tls", True),
    "umqtt": ("umqtt", "tls", True),
}


class Bench:
    """An endpoint with one device, and clients that do tasks against it."""

    def __init__(self, core: RunningCore, password: str) -> None:
        self._core = core
        self._password = password

    def measure(
        self,
        client: str,
        task: str,
        count: int,
        *,
        interpreter: str = "alpn",
        rtt_s: float | None = None,
        **config: Any,
    ) -> tuple[Any, Passage | None]:
        """Have a client do a task on one connection.

        Arguments:
            client: a name of CLIENTS.
            task, count: see programs/measure.py.
            rtt_s: go through a relay with this round-trip time (0: it only counts); None goes straight there.
            config: keys of the board's config.json.
        Returns: what the program said, and the relay's passage.
        Raises: CommandError where the interpreter is not built, or the program fails; holds what it said.
        """
        kind, transport, domain = CLIENTS[client]
        port = self._core.domain_port if domain else self._core.port
        assert port is not None
        config = {**self._config("ca.der", transport), **config}
        if rtt_s is None:
            return self._run(kind, task, count, interpreter, {**config, "port": port}), None
        with Relay(port, lambda _: Treatment(rtt_s=rtt_s)) as relay:
            said = self._run(kind, task, count, interpreter, {**config, "port": relay.port})
            return said, relay.passages[0]

    def write_config(self, folder: Path) -> Path:
        """Put a board's config.json and its CA into a folder; returns the path of the config."""
        (folder / "ca.pem").write_bytes(self._core.ca.read_bytes())
        config = {**self._config("ca.pem", "alpn"), "port": self._core.port, "interval_s": 1}
        (folder / "config.json").write_text(json.dumps(config))
        return folder / "config.json"

    def _config(self, ca: str, transport: str) -> dict[str, Any]:
        login = {"client_id": CLIENT_ID, "username": CLIENT_ID, "password": self._password, "keepalive_s": 120}
        return {"endpoint": self._core.host, "ca": ca, "transport": transport, **login}

    def _run(self, kind: str, task: str, count: int, interpreter: str, config: dict[str, Any]) -> Any:
        found = interpreters.find(interpreter)
        if found is None:
            raise CommandError(f"the interpreter {interpreter} is not built; run `python -m tools.micropython build`")
        with TemporaryDirectory(prefix="mqtt443-bench-") as folder:
            root = Path(folder)
            (root / "config.json").write_text(json.dumps(config))
            (root / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(self._core.ca.read_text()))
            result = subprocess.run(
                [*found.command, str(PROGRAMS / "measure.py"), kind, task, str(count)],
                check=False,
                cwd=root,
                env={"MICROPYPATH": f"{PROGRAMS}:{FIRMWARE}:{UMQTT}"},
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
        if result.returncode:
            raise CommandError(f"{kind} {task}: {result.stdout}{result.stderr}")
        return json.loads(result.stdout.splitlines()[-1])


@contextmanager
def bench() -> Iterator[Bench]:
    """Start the endpoint, with a listener of each kind and no limit of publishes a second; it ends with the block."""
    with (
        TemporaryDirectory(prefix="mqtt443-bench-") as folder,
        RunningCore(Path(folder) / "state", domain_name="localhost", publish_rate_per_s=0) as core,
    ):
        yield Bench(core, core.add_device(CLIENT_ID))
