"""A board that speaks MQTT 5 to localcore, on real MicroPython: telemetry, and each refusal with its reason."""

import re
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.firmware.servers import context, read_packet, serve_tls
from tests.support.board.interpreters import MICROPYTHON, need
from tests.support.board.virtual import Board
from tests.support.mqtt import answers
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.manual_clock import ManualClock
from tests.support.mqtt.relay import Relay

LOGIN = {"client_id": "board", "username": "user"}
PASSWORD = "right-one"


def board_at(core: RunningCore, folder: Path, name: str, **config: Any) -> Board:
    settings = {"port": core.port, "password": PASSWORD, "compiled": True, **LOGIN, **config}
    return Board(folder, need(name), core.ca.read_bytes(), **settings)


@pytest.fixture
def core(tmp_path: Path) -> Any:
    with RunningCore(tmp_path / "state", domain_name="localhost") as core:
        core.add_device("board", username="user", password=PASSWORD)
        yield core


@pytest.mark.parametrize("name", MICROPYTHON)
@pytest.mark.parametrize("transport", ["auto", "tls"])
def test_telemetry_flows_and_a_command_is_answered(
    core: RunningCore, tmp_path: Path, name: str, transport: str
) -> None:
    port = core.domain_port if transport == "tls" else core.port
    with board_at(core, tmp_path, name, transport=transport, port=port) as board:
        connected = board.wait_for("connected to localhost")
        assert [core.next_message().topic for _ in range(3)] == ["telemetry/board"] * 3
        board.wait_for('published {"time"')
    assert connected.endswith("connected to localhost")
    assert not [line for line in board.lines if "refused" in line or "Traceback" in line]


@pytest.mark.parametrize("name", MICROPYTHON)
@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"password": "wrong-one"}, "wrong password"),
        ({"client_id": "another"}, "client id"),
    ],
    ids=["password", "client-id"],
)
def test_refused_login_names_code_and_reason(
    core: RunningCore, tmp_path: Path, name: str, config: dict[str, str], reason: str
) -> None:
    with board_at(core, tmp_path, name, **config) as board:
        line = board.wait_for("ConnectRefused")
        waits = board.wait_for("next attempt in")
    assert "ConnectRefused: refused: not authorized (0x87): " in line
    assert reason in line
    assert "Check username, password, client_id, authorizer, and iot:Connect in its policy" in line
    assert waits
    assert not any(PASSWORD in line or "wrong-one" in line for line in board.lines)


@pytest.mark.parametrize("name", MICROPYTHON)
def test_wrong_topic_names_the_missing_action_and_blocks_nothing(core: RunningCore, tmp_path: Path, name: str) -> None:
    with board_at(core, tmp_path, name, topic="elsewhere/board", commands=False) as board:
        first = board.wait_for(r"not authorized \(0x87\)")
        # The connection goes on, and each later reading is tried, not the same one again.
        board.wait_for(r'not authorized .*"seq": 3.*"refused": ')
    assert "refused: not authorized (0x87): " in first
    assert "iot:Publish" in first
    assert len([line for line in board.lines if "connected to" in line]) == 1


def test_refused_subscription_costs_the_commands_alone(tmp_path: Path) -> None:
    with RunningCore(tmp_path / "state") as core:
        core.add_device("board", username="user", password=PASSWORD, subscribe=["elsewhere"])
        with board_at(core, tmp_path, "alpn", client_id="board", commands=True) as board:
            board.wait_for('published {"time"')
    assert len([line for line in board.lines if "connected to" in line]) == 1


def test_second_board_with_the_client_id_is_named(core: RunningCore, tmp_path: Path) -> None:
    with board_at(core, tmp_path / "one", "alpn") as first:
        first.wait_for("published")
        with board_at(core, tmp_path / "two", "alpn") as second:
            line = first.wait_for("ConnectionLost")
            second.wait_for("published")
    assert "the server disconnected: another device connected with this client id (0x8e)" in line
    assert "Give each board its own client_id" in line


@pytest.mark.parametrize(
    ("code", "words"), [(0x97, "quota exceeded (0x97)"), (0x9F, "connection rate exceeded (0x9f)")], ids=["97", "9f"]
)
def test_connect_over_the_rate_is_named_and_tried_again_soon(tmp_path: Path, code: int, words: str) -> None:
    with RunningCore(
        tmp_path / "state", clock=ManualClock(), connect_rate_per_s=1, mqtt5_connect_rate_code=code
    ) as core:
        core.add_device("board", username="user", password=PASSWORD)
        with board_at(core, tmp_path / "first", "alpn") as board:
            board.wait_for("published")
        with board_at(core, tmp_path / "second", "alpn") as board:
            line = board.wait_for("ConnectRefused")
            wait = re.search(r"next attempt in ([0-9.]+) s", board.wait_for("next attempt in"))
            core.advance(2)
            board.wait_for("published")
    assert f"refused: {words}: over 1 CONNECT a second for one client id" in line
    assert wait is not None
    assert float(wait[1]) <= 5, "the first step for a network fault"


# What servers that speak 3.1.1 alone answer to a CONNECT of MQTT 5: in their own version, or in the client's.
@pytest.mark.parametrize("answer", [b"\x20\x02\0\1", answers.connack(answers.MQTT_5, code=0x84)], ids=["3.1.1", "5"])
@pytest.mark.parametrize("name", MICROPYTHON)
def test_server_without_version_5_gets_311_and_the_log_says_so(tmp_path: Path, name: str, answer: bytes) -> None:
    ca = trustme.CA()
    levels: list[int] = []

    def serve(connection: ssl.SSLSocket) -> None:
        connect = read_packet(connection)
        levels.append(answers.level(connect))
        if levels[-1] == answers.MQTT_5:
            connection.sendall(answer)
            return
        connection.sendall(answers.connack(answers.MQTT_311))
        while packet := read_packet(connection):
            if packet[0] & 0xF0 == 0x80:
                connection.sendall(answers.suback(answers.MQTT_311, packet[2:4], 1))
            elif packet[0] & 0xF0 == 0x30:
                connection.sendall(
                    answers.puback(answers.MQTT_311, answers.published(answers.MQTT_311, packet).identifier)
                )

    with serve_tls(ca, context(ca), serve) as server:
        config: dict[str, Any] = {
            "port": server.port,
            "transport": "tls",
            "password": PASSWORD,
            "compiled": True,
            **LOGIN,
        }
        with Board(tmp_path, need(name), ca.cert_pem.bytes(), **config) as board:
            line = board.wait_for("connected to localhost")
            board.wait_for('published .*"seq": 2')
    assert line.endswith("connected to localhost, MQTT 3.1.1: the server does not speak 5")
    assert levels == [5, 4], "the two attempts are one after the other, and the board stays with 3.1.1"
    assert not any("next attempt" in line for line in board.lines)


def test_publish_with_an_alias_is_one_record_of_at_most_140_bytes(core: RunningCore, tmp_path: Path) -> None:
    client_id = "b" * 22
    assert len(f"telemetry/{client_id}") == 32
    core.add_device(client_id, username="long", password=PASSWORD)
    with Relay(core.port) as relay:
        config = {"client_id": client_id, "username": "long", "port": relay.port, "commands": False}
        with board_at(core, tmp_path, "alpn", **config):
            messages = [core.next_message() for _ in range(4)]
        (passage,) = relay.passages
    assert {message.topic for message in messages} == {f"telemetry/{client_id}"}
    # CONNECT, then a record for each reading. The first carries the topic and its alias, later ones the alias alone.
    sizes = passage.up.sizes[1:5]
    around = [size - len(message.payload) for size, message in zip(sizes, messages, strict=True)]
    assert around[0] >= around[1] + 32
    assert around[1:] == [around[1]] * 3
    assert around[1] + 100 <= 140
