"""PUBACKs that are doubled, for nobody, late or missing: each reading is published, and none twice for it."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.faults.boards import PACE, TIMEOUT_S, TREE
from tests.firmware.servers import CONNACK, Handler, context, read_packet, serve_tls
from tests.support.faketime import board_pace
from tests.support.interpreters import need
from tests.support.onboard import Board

Answer = Callable[[int, bytes], list[bytes]]
"""From the number of a PUBLISH, counted from 0, and its packet identifier: the PUBACKs' packet identifiers."""

UNKNOWN = b"\xfe\xdc"


def answering(answer: Answer, seen: list[bytes]) -> Handler:
    """An MQTT server that acknowledges as `answer` says; puts the payloads into `seen`."""

    def handle(connection):
        while packet := read_packet(connection):
            if packet[0] == 0x10:
                connection.sendall(CONNACK)
            elif packet[0] & 0xF6 == 0x32:
                body = packet[2 if packet[1] < 128 else 3 :]
                end = 2 + int.from_bytes(body[:2], "big")
                number = len(seen)
                seen.append(body[end + 2 :])
                for identifier in answer(number, body[end : end + 2]):
                    connection.sendall(b"\x40\x02" + identifier)
            elif packet[0] == 0xC0:
                connection.sendall(b"\xd0\x00")
            elif packet[0] == 0xE0:
                return

    return handle


ANSWERS: dict[str, Answer] = {
    "doubled": lambda _, identifier: [identifier, identifier],
    "after-one-for-nobody": lambda _, identifier: [UNKNOWN, identifier],
    "before-one-for-nobody": lambda _, identifier: [identifier, UNKNOWN],
    "many-for-nobody": lambda _, identifier: [UNKNOWN] * 50 + [identifier],
}


@pytest.mark.parametrize("name", ["alpn", "stock"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_superfluous_pubacks_do_no_harm(tmp_path: Path, name: str, answer: Answer) -> None:
    readings, lines = publish_to(tmp_path, name, answer, count=5)
    assert [reading["seq"] for reading in readings[:5]] == [1, 2, 3, 4, 5]
    assert not any(kind in line for kind in TREE for line in lines), lines


@pytest.mark.parametrize("name", ["alpn", "stock"])
def test_a_missing_puback_is_noticed_at_its_deadline(tmp_path: Path, name: str) -> None:
    readings, lines = publish_to(
        tmp_path, name, lambda number, identifier: [] if number == 2 else [identifier], count=5
    )
    late = [line for line in lines if "PeerVanished" in line]
    assert len(late) == 1, lines
    assert f"no answer within {TIMEOUT_S} s: PUBACK" in late[0]
    assert len({reading["seq"] for reading in readings}) >= 4


def publish_to(folder: Path, name: str, answer: Answer, count: int) -> tuple[list[dict[str, int]], list[str]]:
    """Run a board against such a server until it has said `count` times that a reading is published."""
    seen: list[bytes] = []
    ca = trustme.CA()
    with serve_tls(ca, context(ca), answering(answer, seen)) as server:
        config = {"port": server.port, "client_id": "dev1", "username": "u", "password": "p", "transport": "tls"}
        with Board(
            folder,
            need(name),
            ca.cert_pem.bytes(),
            environment=board_pace(PACE),
            timeout_s=TIMEOUT_S,
            **config,
        ) as board:
            board.wait_for(f'published .*"seq": {count}')
        # The board may leave while the last answer is on its way: that is no error of the server.
        assert [error for error in server.errors if not isinstance(error, ConnectionError | ssl.SSLError)] == []
    return [json.loads(payload) for payload in seen], board.lines
