"""The brokers that `bench.localcore` compares: localcore with its authorizer, amqtt and mosquitto without a login.

All serve TLS with the same kind of certificate (ECDSA P-256). amqtt comes from the package index into a virtual
environment of its own, `build/amqtt`, because its dependencies are not ours; mosquitto is used if it is installed.
`bare` is `bench.bare_broker`.
"""

from __future__ import annotations

import getpass
import select
import shutil
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.device.registration import NewDevice, add_devices
from mqtt443_tools.load.target import Login, Target
from mqtt443_tools.localcore.auth.account import DEVICES_FILE
from mqtt443_tools.localcore.front.certificates import GOOD_LEAF, issue_leaf, load_ca
from mqtt443_tools.support import lambda_zip
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import BUILD, ROOT

AMQTT = "amqtt==0.12.1"
AMQTT_PYTHON = BUILD / "amqtt" / "bin" / "python"
TOPIC = "bench/all"
PUBLISHER = "bench-publisher"
START_S = 60.0
END_S = 20.0
INSTALL_S = 300.0
SLOW_S = 0.05

AMQTT_CONFIG = """
listeners:
  default:
    type: tcp
    bind: 127.0.0.1:{port}
    ssl: true
    cafile: {folder}/ca.pem
    certfile: {folder}/cert.pem
    keyfile: {folder}/key.pem
    max_connections: 20000
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""
MOSQUITTO_CONFIG = """
user {user}
listener {port} 127.0.0.1
cafile {folder}/ca.pem
certfile {folder}/cert.pem
keyfile {folder}/key.pem
allow_anonymous true
max_inflight_messages 0
max_queued_messages 0
"""
SLOW_HANDLER = f"""

_decide = handler


def handler(event, context):
    import time

    time.sleep({SLOW_S})
    return _decide(event, context)
"""


@dataclass(frozen=True)
class Broker:
    """A running broker.

    Attributes:
        target: where clients connect.
        logins: who they are, as many as were asked for.
        publisher: may publish to TOPIC, which the others may subscribe to.
        pid: of the process.
    """

    target: Target
    logins: Sequence[Login]
    publisher: Login
    pid: int

    @property
    def rss_kb(self) -> int:
        """Resident memory in KB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@contextmanager
def localcore(folder: Path, clients: int, *, slow: bool = False) -> Iterator[Broker]:
    """Run `mqtt443 local`; `slow` gives it an authorizer that takes 50 ms longer. Raises CommandError."""
    state = folder / "state"
    state.mkdir(mode=0o700)
    wanted = [NewDevice(f"bench-{number}", subscribe=(TOPIC,)) for number in range(clients)]
    added = add_devices(
        SqliteStore(state / DEVICES_FILE), [*wanted, NewDevice(PUBLISHER, publish=(TOPIC,))], now=time.time()
    )
    logins = [Login(each.device.client_id, each.device.username, each.password) for each in added]
    program = str(Path(sys.executable).with_name("mqtt443"))
    command = [program, "local", "--state", str(state), "--port", "0", "--no-console"]
    command += ["--set", "publish_rate_per_s=0", "--set", "connect_rate_per_s=0"]
    if slow:
        code = folder / "code"
        lambda_zip.unpack(_file(folder / "ours.zip", lambda_zip.build()), code)
        handler = code / "mqtt443_authorizer" / "handler.py"
        handler.write_text(handler.read_text() + SLOW_HANDLER)
        command += ["--zip", shutil.make_archive(str(folder / "slow"), "zip", code)]
    with (folder / "log").open("wb") as log, _process(command, log, folder) as process:
        ready = _ready(process)
        ca = Path(ready["ca"]).read_text()
        yield Broker(Target("localhost", "127.0.0.1", int(ready["port"]), ca), logins[:-1], logins[-1], process.pid)


@contextmanager
def amqtt(folder: Path, clients: int) -> Iterator[Broker]:
    """Run amqtt. Raises CommandError if it cannot be installed or does not start."""
    if not AMQTT_PYTHON.exists():
        venv.create(BUILD / "amqtt", with_pip=True)
        command = [str(AMQTT_PYTHON), "-m", "pip", "install", "--quiet", AMQTT]
        try:
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=INSTALL_S)
        except subprocess.SubprocessError as error:
            shutil.rmtree(BUILD / "amqtt")
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
            raise CommandError(f"{AMQTT} cannot be installed: {said}") from error
    with _anonymous(folder, clients, AMQTT_CONFIG, [str(AMQTT_PYTHON.with_name("amqtt")), "-c"]) as broker:
        yield broker


@contextmanager
def mosquitto(folder: Path, clients: int) -> Iterator[Broker]:
    """Run mosquitto with its defaults. Raises CommandError if it is not installed."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
    if program is None:
        raise CommandError("mosquitto is not installed")
    with _anonymous(folder, clients, MOSQUITTO_CONFIG, [program, "-c"]) as broker:
        yield broker


@contextmanager
def bare(folder: Path, clients: int) -> Iterator[Broker]:
    """Run the least that a broker in Python can do. Raises CommandError if it does not start."""
    _certificate(folder)
    command = [sys.executable, "-m", "bench.bare_broker", str(folder)]
    with (folder / "log").open("wb") as log, _process(command, log, ROOT) as process:
        yield _open_to_all(folder, int(_ready(process)["port"]), clients, process.pid)


@contextmanager
def _anonymous(folder: Path, clients: int, config: str, command: list[str]) -> Iterator[Broker]:
    _certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    text = config.format(port=port, folder=folder, user=getpass.getuser())
    command = [*command, str(_file(folder / "config.yaml", text.encode()))]
    with (folder / "log").open("wb") as log, _process(command, log, folder) as process:
        _await_port(process, port)
        yield _open_to_all(folder, port, clients, process.pid)


def _open_to_all(folder: Path, port: int, clients: int, pid: int) -> Broker:
    """Return a broker that asks for no login."""
    target = Target("localhost", "127.0.0.1", port, (folder / "ca.pem").read_text(), alpn=None)
    return Broker(target, [Login(f"bench-{number}") for number in range(clients)], Login(PUBLISHER), pid)


def _certificate(folder: Path) -> None:
    """Write cert.pem and key.pem, and the CA's ca.pem."""
    leaf = issue_leaf(load_ca(folder), ["localhost"], GOOD_LEAF, time.time())
    _file(folder / "key.pem", leaf.private_key_pem.bytes())
    _file(folder / "cert.pem", b"".join(part.bytes() for part in leaf.cert_chain_pems))


@contextmanager
def _process(command: list[str], log: object, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=folder)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _ready(process: subprocess.Popen[bytes]) -> dict[str, str]:
    """Return what a process says when it accepts connections: `ready port=...`. Raises CommandError."""
    assert process.stdout is not None
    said, _, _ = select.select([process.stdout], [], [], START_S)
    ready = dict(word.split("=", 1) for word in process.stdout.readline().decode().split()[1:]) if said else {}
    if "port" not in ready:
        raise CommandError(f"{process.args!r} did not start")
    return ready


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise CommandError(f"{process.args!r} did not start")


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
