"""Links that fall silent, stall or crawl: each wait ends at its deadline with its error, and telemetry continues."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.boards import PACE, TIMEOUT_S, rig
from tests.faults.conftest import BOTH_VERSIONS, Form
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED, Direction, Fault, Treatment


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("state")) as core:
        yield core


HANDSHAKE = "HandshakeTimeout: no answer within {} s: the TLS handshake"
PHASES = [
    ("alpn", "TCP", Fault("silence"), HANDSHAKE),
    ("alpn", "ClientHello", Fault("silence", "up", 1, "records"), HANDSHAKE),
    ("alpn", "half-a-certificate", Fault("silence", "down", 300), HANDSHAKE),
    ("alpn", "CONNECT", Fault("silence", "up", 1, "data_records"), "ConnackTimeout: no answer within {} s: CONNACK"),
    ("alpn", "CONNACK", Fault("silence", "down", 1, "data_records"), "PeerVanished: no answer within {} s: SUBACK"),
    ("alpn", "SUBSCRIBE", Fault("silence", "up", 2, "data_records"), "PeerVanished: no answer within {} s: SUBACK"),
    ("alpn", "SUBACK", Fault("silence", "down", 2, "data_records"), "PeerVanished: no answer within {} s: PUBACK"),
    ("alpn", "PUBLISH", Fault("silence", "up", 3, "data_records"), "PeerVanished: no answer within {} s: PUBACK"),
    ("alpn", "PUBACK", Fault("silence", "down", 3, "data_records"), "PeerVanished: no answer within {} s: PUBACK"),
    ("alpn", "lost-PUBACK", Fault("deafen", "down", 3, "data_records"), "PeerVanished: no answer within {} s: PUBACK"),
    (
        "wss",
        "upgrade",
        Fault("silence", "up", 1, "data_records"),
        "Timeout: no answer within {} s: the WebSocket upgrade",
    ),
    ("wss", "CONNECT", Fault("silence", "up", 2, "data_records"), "ConnackTimeout: no answer within {} s: CONNACK"),
    ("wss", "CONNACK", Fault("silence", "down", 2, "data_records"), "PeerVanished: no answer within {} s: SUBACK"),
    ("wss", "PUBLISH", Fault("silence", "up", 4, "data_records"), "PeerVanished: no answer within {} s: PUBACK"),
]


@BOTH_VERSIONS
@pytest.mark.parametrize(
    ("transport", "fault", "text"),
    [phase[:1] + phase[2:] for phase in PHASES],
    ids=["{}-after-{}".format(*phase) for phase in PHASES],
)
def test_black_hole_in_each_phase_ends_at_its_deadline(
    endpoint: RunningCore,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    transport: str,
    fault: Fault,
    text: str,
    mqtt: str,
) -> None:
    folder = tmp_path / request.node.callspec.id
    config: dict[str, Any] = {"transport": transport, "mqtt": mqtt}
    with rig(endpoint, folder, lambda n: UNHARMED if n else Treatment(fault), **config) as running:
        running.board.wait_for(rf"\] {text.format(TIMEOUT_S)}")
        running.wait_for_more()
    assert len(running.errors) == 1
    assert running.relay.harmed == 1


@BOTH_VERSIONS
@pytest.mark.parametrize("qos", [0, 1])
def test_peer_that_vanishes_between_two_readings_is_noticed(
    endpoint: RunningCore, tmp_path: Path, qos: int, mqtt: str
) -> None:
    # With QoS 0 only PINGRESP shows it: half a keep alive plus the deadline of a PINGRESP.
    folder = tmp_path / f"between-{qos}-{mqtt}"
    with rig(endpoint, folder, lambda _: UNHARMED, qos=qos, mqtt=mqtt, interval_s=20) as running:
        running.wait_for_more(1)
        running.relay.strike("silence")
        line = running.board.wait_for("PeerVanished", 10)
        running.wait_for_more(1)
    assert ("PUBACK" if qos else "PINGRESP") in line


@BOTH_VERSIONS
def test_link_that_carries_one_byte_at_a_time_is_a_link(endpoint: RunningCore, tmp_path: Path, mqtt: str) -> None:
    with rig(endpoint, tmp_path / f"crawl-{mqtt}", lambda _: Treatment(piece_bytes=1), mqtt=mqtt) as running:
        running.wait_for_more(5)
    assert running.errors == []
    assert len(running.relay.passages) == 1


@BOTH_VERSIONS
def test_stalls_shorter_than_the_deadline_are_no_faults(
    endpoint: RunningCore, tmp_path: Path, form: Form, mqtt: str
) -> None:
    random = form.random("stalls")

    def stalling(_: int) -> Treatment:
        # Somewhere between TCP and the first PUBACK.
        ways: list[tuple[Direction, int]] = [("up", 700), ("down", 1000)]
        direction, last = random.choice(ways)
        return Treatment(Fault("stall", direction, random.randrange(last), seconds=2 / PACE))

    for n in range(form.pick(2, 200)):
        with rig(endpoint, tmp_path / f"stalls-{mqtt}-{n}", stalling, mqtt=mqtt) as running:
            running.wait_for_more(2)
        assert running.errors == []
        assert running.relay.harmed == 1
