"""What figures are measured with: an endpoint, a relay that counts and delays, an interpreter that runs a client."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mqtt443_tools.support.compile_mpy import compile_package
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import ROOT, UMQTT
from mqtt443_tools.virtualboard import interpreters

from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED, Passage, Relay, Treatment

PROGRAMS = ROOT / "bench" / "programs"
PACKAGE = ROOT / "firmware" / "mqtt443"
# One a client that runs at the same time as others; with each, a topic has 32 bytes.
CLIENT_IDS = ("bench-0123456789abcdef", "bench-123456789abcdef0", "bench-23456789abcdef01")
TIMEOUT_S = 300.0

# A client, the transport in its config, and whether it talks to the domain listener, which needs no ALPN.
CLIENTS = {
    "ours": ("ours", "alpn", False),
    "ours, wss": ("ours", "wss", False),
    "ours, tls": ("ours", "tls", True),
    "umqtt": ("umqtt", "tls", True),
}


@dataclass(frozen=True)
class Job:
    """What `Bench.measure` is to do; its arguments."""

    client: str
    task: str
    count: int
    rtt_s: float | None = None
    window: int = 8


@dataclass(frozen=True)
class Run:
    """How a job went.

    Attributes:
        said: what the program said.
        passage: what the relay counted; nothing where there was none.
        fullest_second: the most messages that arrived within any one second.
    """

    said: Any
    passage: Passage
    fullest_second: int


class Bench:
    """An endpoint with a device for each of CLIENT_IDS, the package as .mpy, and clients that do tasks."""

    def __init__(self, core: RunningCore, compiled: Path) -> None:
        self._core = core
        self._compiled = compiled
        self._passwords = {client_id: core.add_device(client_id) for client_id in CLIENT_IDS}

    def measure(
        self,
        client: str,
        task: str,
        count: int,
        *,
        interpreter: str = "alpn",
        rtt_s: float | None = None,
        window: int = 8,
        device: int = 0,
    ) -> Run:
        """Have a client do a task on one connection.

        Arguments:
            client: a name of CLIENTS.
            task, count: see programs/measure.py.
            task: what the client does.
            count: how many messages.
            interpreter: what runs the client.
            rtt_s: go through a relay with this round-trip time (0: it only counts); None goes straight there.
            window: how many messages ours has in flight.
            device: which of CLIENT_IDS it is; what runs at the same time takes different ones.
        Raises: CommandError where the interpreter is not built, or the program fails; holds what it said.
        """
        kind, transport, domain = CLIENTS[client]
        port = self._core.domain_port if domain else self._core.port
        assert port is not None
        client_id = CLIENT_IDS[device]
        config = {**self._config("ca.der", transport, client_id), "bench": {"window": window}}
        arrived = len(self._core.messages)
        if rtt_s is None:
            said, passage = self._run(kind, task, count, interpreter, {**config, "port": port}), Passage(UNHARMED)
        else:
            with Relay(port, lambda _: Treatment(rtt_s=rtt_s)) as relay:
                said = self._run(kind, task, count, interpreter, {**config, "port": relay.port})
                passage = relay.passages[0]
        at_s = [message.received_at for message in self._core.messages[arrived:] if message.client_id == client_id]
        return Run(said, passage, fullest_second(at_s))

    def side_by_side(self, jobs: Sequence[Job]) -> list[Run]:
        """Do so many jobs at the same time, each as another device; returns how they went, in their order."""
        with ThreadPoolExecutor(len(jobs)) as pool:
            runs = [
                pool.submit(
                    self.measure, job.client, job.task, job.count, rtt_s=job.rtt_s, window=job.window, device=device
                )
                for device, job in enumerate(jobs)
            ]
            return [run.result() for run in runs]

    def write_config(self, folder: Path) -> Path:
        """Put a board's config.json and its CA into a folder; returns the path of the config."""
        (folder / "ca.pem").write_bytes(self._core.ca.read_bytes())
        config = {**self._config("ca.pem", "alpn", CLIENT_IDS[0]), "port": self._core.port, "interval_s": 1}
        (folder / "config.json").write_text(json.dumps(config))
        return folder / "config.json"

    def _config(self, ca: str, transport: str, client_id: str) -> dict[str, Any]:
        password = self._passwords[client_id]
        login = {"client_id": client_id, "username": client_id, "password": password, "keepalive_s": 120}
        return {"endpoint": self._core.host, "ca": ca, "transport": transport, **login}

    def _run(self, kind: str, task: str, count: int, interpreter: str, config: dict[str, Any]) -> Any:
        found = interpreters.find(interpreter)
        if found is None:
            raise CommandError(
                f"the interpreter {interpreter} is not built; run `python -m mqtt443_tools.micropython build`"
            )
        with TemporaryDirectory(prefix="mqtt443-bench-") as folder:
            root = Path(folder)
            (root / "config.json").write_text(json.dumps(config))
            (root / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(self._core.ca.read_text()))
            result = subprocess.run(
                [*found.command, str(PROGRAMS / "measure.py"), kind, task, str(count)],
                check=False,
                cwd=root,
                env={"MICROPYPATH": f"{PROGRAMS}:{self._compiled}:{UMQTT}"},
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
        if result.returncode:
            raise CommandError(f"{kind} {task}: {result.stdout}{result.stderr}")
        return json.loads(result.stdout.splitlines()[-1])


def fullest_second(at_s: Sequence[float]) -> int:
    """Return how many of these moments, in order, lie at most within less than a second."""
    most = first = 0
    for last, moment in enumerate(at_s):
        while moment - at_s[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


@contextmanager
def bench() -> Iterator[Bench]:
    """Start the endpoint, with a listener of each kind and no limit of publishes a second; it ends with the block."""
    with (
        TemporaryDirectory(prefix="mqtt443-bench-") as folder,
        RunningCore(Path(folder) / "state", domain_name="localhost", publish_rate_per_s=0) as core,
    ):
        compiled = Path(folder) / "lib"
        compile_package(PACKAGE, compiled / PACKAGE.name)
        yield Bench(core, compiled)
