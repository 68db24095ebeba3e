"""The test rig: an endpoint, a relay that counts and delays, and an interpreter that runs a client."""

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
# One for each client that runs at the same time; each makes a topic of 32 bytes.
CLIENT_IDS = ("bench-0123456789abcdef", "bench-123456789abcdef0", "bench-23456789abcdef01")
TIMEOUT_S = 300.0

# Kind of client, transport in its config, and whether it uses the domain listener, which needs no ALPN.
CLIENTS = {
    "ours": ("ours", "alpn", False),
    "ours, wss": ("ours", "wss", False),
    "ours, tls": ("ours", "tls", True),
    "umqtt": ("umqtt", "tls", True),
}


@dataclass(frozen=True)
class Job:
    """Arguments of `Bench.measure`."""

    client: str
    task: str
    count: int
    rtt_s: float | None = None
    window: int = 8


@dataclass(frozen=True)
class Run:
    """Result of a job.

    Attributes:
        result: the value that the program printed.
        passage: what the relay counted; empty without a relay.
        fullest_second: the most messages that arrived within any second.
    """

    result: Any
    passage: Passage
    fullest_second: int


class Bench:
    """An endpoint with a device for each of CLIENT_IDS, the compiled package, and clients that run tasks."""

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
        """Run a task of a client on one connection.

        Args:
            client: a key of CLIENTS.
            task: see programs/measure.py.
            count: number of messages of the task.
            interpreter: name of the MicroPython build.
            rtt_s: round-trip time of a relay in between, in seconds (0: it only counts); None connects directly.
            window: number of messages that ours may have in flight.
            device: index into CLIENT_IDS; jobs that run at the same time need different ones.

        Raises:
            CommandError: the interpreter is not built, or the program fails; contains its output.
        """
        kind, transport, domain = CLIENTS[client]
        port = self._core.domain_port if domain else self._core.port
        assert port is not None
        client_id = CLIENT_IDS[device]
        config = {**self._config("ca.der", transport, client_id), "bench": {"window": window}}
        arrived = len(self._core.messages)
        if rtt_s is None:
            result, passage = self._run(kind, task, count, interpreter, {**config, "port": port}), Passage(UNHARMED)
        else:
            with Relay(port, lambda _: Treatment(rtt_s=rtt_s)) as relay:
                result = self._run(kind, task, count, interpreter, {**config, "port": relay.port})
                passage = relay.passages[0]
        at_s = [message.received_at for message in self._core.messages[arrived:] if message.client_id == client_id]
        return Run(result, passage, fullest_second(at_s))

    def side_by_side(self, jobs: Sequence[Job]) -> list[Run]:
        """Run jobs at the same time, each as a different device; return their results in order."""
        with ThreadPoolExecutor(len(jobs)) as pool:
            runs = [
                pool.submit(
                    self.measure, job.client, job.task, job.count, rtt_s=job.rtt_s, window=job.window, device=device
                )
                for device, job in enumerate(jobs)
            ]
            return [run.result() for run in runs]

    def write_config(self, folder: Path, transport: str) -> Path:
        """Write a board's config.json and its CA to a folder; return the path of the config."""
        (folder / "ca.pem").write_bytes(self._core.ca.read_bytes())
        config = {**self._config("ca.pem", transport, CLIENT_IDS[0]), "port": self._core.port, "interval_s": 1}
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
            try:
                done = subprocess.run(
                    [*found.command, str(PROGRAMS / "measure.py"), kind, task, str(count)],
                    check=False,
                    cwd=root,
                    env={"MICROPYPATH": f"{PROGRAMS}:{self._compiled}:{UMQTT}"},
                    capture_output=True,
                    text=True,
                    timeout=TIMEOUT_S,
                )
            except subprocess.TimeoutExpired as error:
                raise CommandError(f"{kind} {task}: not done within {TIMEOUT_S:g} s") from error
        if done.returncode:
            raise CommandError(f"{kind} {task}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])


def fullest_second(at_s: Sequence[float]) -> int:
    """Return the largest number of these times (sorted) that lie within less than a second."""
    most = first = 0
    for last, moment in enumerate(at_s):
        while moment - at_s[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


@contextmanager
def bench() -> Iterator[Bench]:
    """Run an endpoint with both kinds of listener and without a publish limit."""
    with (
        TemporaryDirectory(prefix="mqtt443-bench-") as folder,
        RunningCore(Path(folder) / "state", domain_name="localhost", publish_rate_per_s=0) as core,
    ):
        compiled = Path(folder) / "lib"
        compile_package(PACKAGE, compiled / PACKAGE.name)
        yield Bench(core, compiled)
