"""A running `mqtt443 local` with its console, and a real browser."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.support.paths import STATE
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.mqtt.client import client_connect

MQTT443 = (sys.executable, "-c", "from mqtt443_tools.cli import main; main()")
WAIT_S = 30
CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1280,860"),
)


@dataclass
class Command:
    """A command in the background, and what it has said so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    more: threading.Condition = field(default_factory=threading.Condition)

    def end(self) -> None:
        """Stop it as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(WAIT_S)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.more:
                self.lines.append(line.rstrip("\n"))
                self.more.notify_all()

    def wait_for(self, pattern: str, since: int = 0) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            return next((match for line in self.lines[since:] if (match := re.search(pattern, line))), None)

        with self.more:
            match = self.more.wait_for(found, WAIT_S)
            assert match, f"never said {pattern!r} but:\n" + "\n".join(self.lines)
            return match


Start = Callable[..., Command]


@contextmanager
def running(command: Sequence[str], folder: Path) -> Iterator[Command]:
    """Run a command in a folder until the end of the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        started = Command(process)
        reader = threading.Thread(target=started.read)
        reader.start()
        try:
            yield started
        finally:
            started.end()
            reader.join()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start commands of mqtt443 in a folder of their own; they end with the test."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(running([*MQTT443, *arguments], tmp_path))


@dataclass(frozen=True)
class Endpoint:
    """A local endpoint with its console."""

    command: Command
    state: Path
    port: int
    link: str

    @property
    def origin(self) -> str:
        return self.link.partition("/?")[0]


@pytest.fixture
def endpoint(start: Start, tmp_path: Path) -> Endpoint:
    state = tmp_path / STATE  # the default, so that the page shows the commands as in a demo
    command = start("local", "--port", "0", "--set", "connect_rate_per_s=0")
    port = int(command.wait_for(r"ready .*\bport=(\d+)")[1])
    return Endpoint(command, state, port, command.wait_for(r"console: (http://\S+)")[1])


def add_device(endpoint: Endpoint, client_id: str, config: Path) -> None:
    """Register a device that sends a reading every second; the config file may be in a new folder."""
    config.parent.mkdir(exist_ok=True)
    arguments = ["device", "add", client_id, "--out", str(config), "--state", str(endpoint.state)]
    subprocess.run([*MQTT443, *arguments], check=True, capture_output=True, timeout=WAIT_S)
    update(config, interval_s=1)


def update(config: Path, **values: Any) -> None:
    config.write_text(json.dumps(json.loads(config.read_text()) | values))


def connected(endpoint: Endpoint, client_id: str, folder: Path) -> Client:
    """Register a device and connect as that; the caller disconnects, and stops the client's loop."""
    path = folder / client_id / "config.json"
    add_device(endpoint, client_id, path)
    config = json.loads(path.read_text())
    context = ssl.create_default_context(cafile=endpoint.state / "ca.pem")
    context.set_alpn_protocols(["mqtt"])
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id)
    client.tls_set_context(context)
    client.username_pw_set(config["username"], config["password"])
    client.connect("localhost", endpoint.port)
    client.loop_start()
    return client


def be_refused(endpoint: Endpoint, client_id: str) -> None:
    """Connect as a client that is not registered, and wait for the refusal."""
    context = ssl.create_default_context(cafile=endpoint.state / "ca.pem")
    context.set_alpn_protocols(["mqtt"])
    with (
        socket.create_connection(("127.0.0.1", endpoint.port), WAIT_S) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as tls,
    ):
        tls.sendall(client_connect(client_id))
        while tls.recv(100):
            pass


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """A fresh Chromium; skips where there is none."""
    if CHROMIUM is None or CHROMEDRIVER is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt install chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "downloads")})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, Service(CHROMEDRIVER))
    try:
        yield driver
    finally:
        driver.quit()
