"""The brokers that `bench.localcore` compares: localcore with its authorizer, amqtt and mosquitto without a login.

All three serve TLS with the same kind of certificate (ECDSA P-256). amqtt comes from the package index into a virtual
environment of its own, `build/amqtt`, because its dependencies are not ours; mosquitto is used if it is installed.
"""

from __future__ import annotations

import getpass
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
from mqtt443_tools.support.paths import BUILD

AMQTT = "amqtt==0.12.1"
AMQTT_PYTHON = BUILD / "amqtt" / "bin" / "python"
TOPIC = "bench/all"
PUBLISHER = "bench-publisher"
START_S = 60.0
END_S = 20.0
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
        assert process.stdout is not None
        ready = dict(word.split("=", 1) for word in process.stdout.readline().decode().split()[1:])
        if "port" not in ready:
            raise CommandError("mqtt443 local did not start")
        ca = Path(ready["ca"]).read_text()
        yield Broker(Target("localhost", "127.0.0.1", int(ready["port"]), ca), logins[:-1], logins[-1], process.pid)


@contextmanager
def amqtt(folder: Path, clients: int) -> Iterator[Broker]:
    """Run amqtt. Raises CommandError if it cannot be installed or does not start."""
    if not AMQTT_PYTHON.exists():
        venv.create(BUILD / "amqtt", with_pip=True)
        done = subprocess.run(
            [str(AMQTT_PYTHON), "-m", "pip", "install", "--quiet", AMQTT], capture_output=True, text=True, check=False
        )
        if done.returncode:
            shutil.rmtree(BUILD / "amqtt")
            raise CommandError(f"{AMQTT} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
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
def _anonymous(folder: Path, clients: int, config: str, command: list[str]) -> Iterator[Broker]:
    ca = load_ca(folder)
    leaf = issue_leaf(ca, ["localhost"], GOOD_LEAF, time.time())
    _file(folder / "key.pem", leaf.private_key_pem.bytes())
    _file(folder / "cert.pem", b"".join(part.bytes() for part in leaf.cert_chain_pems))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    text = config.format(port=port, folder=folder, user=getpass.getuser())
    target = Target("localhost", "127.0.0.1", port, (folder / "ca.pem").read_text(), alpn=None)
    logins = [Login(f"bench-{number}") for number in range(clients)]
    command = [*command, str(_file(folder / "config.yaml", text.encode()))]
    with (folder / "log").open("wb") as log, _process(command, log, folder) as process:
        _await_port(process, port)
        yield Broker(target, logins, Login(PUBLISHER), process.pid)


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
