"""PUBACKs that are doubled, unknown, out of order, late or missing, and sessions kept or lost: no reading is lost.

What is sent again is what MQTT asks for [MQTT-4.4.0-1].
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.boards import ERROR_LINE, PACE, TIMEOUT_S
from tests.faults.conftest import BOTH_VERSIONS
from tests.faults.scripted import Answer, Leave, Publish, Script, at_once, board_at
from tests.support.board.virtual import Board

UNKNOWN = b"\xfe\xdc"
WINDOW = 4
# Interpreter, MQTT.
WAYS = [("alpn", "5"), ("stock", "5"), ("alpn", "3.1.1")]


def in_groups(order: Callable[[list[bytes]], list[bytes]]) -> Answer:
    """Acknowledge nothing until WINDOW messages are in flight, then all of them in another order."""
    held: list[bytes] = []

    def answer(publish: Publish) -> list[bytes]:
        held.append(publish.identifier)
        if len(held) < WINDOW:
            return []
        group, held[:] = order(list(held)), []
        return group

    return answer


ANSWERS: dict[str, Callable[[], Answer]] = {
    "doubled": lambda: lambda publish: [publish.identifier] * 2,
    "after-one-for-none": lambda: lambda publish: [UNKNOWN, publish.identifier],
    "before-one-for-none": lambda: lambda publish: [publish.identifier, UNKNOWN],
    "many-for-none": lambda: lambda publish: [UNKNOWN] * 50 + [publish.identifier],
    "in-groups": lambda: in_groups(list),
    "backwards": lambda: in_groups(lambda held: held[::-1]),
    "mixed-up-and-doubled": lambda: in_groups(lambda held: [held[2], UNKNOWN, held[0], held[2], *held]),
}


def errors_of(board: Board) -> list[str]:
    return [found[1] for line in board.lines if (found := ERROR_LINE.match(line))]


@pytest.mark.parametrize(("name", "mqtt"), WAYS)
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_pubacks_in_any_order_and_number_do_no_harm(
    tmp_path: Path, name: str, mqtt: str, answer: Callable[[], Answer]
) -> None:
    script = Script(answer())
    with board_at(script, tmp_path, name, PACE, mqtt=mqtt, window=WINDOW) as board:
        seen = script.wait_for(3 * WINDOW)
        board.wait_for(f'published .*"seq": (?!{seen[0].seq}\\b)')
    assert [publish.seq for publish in seen] == list(range(1, len(seen) + 1))
    assert errors_of(board) == []


@pytest.mark.parametrize(("name", "mqtt"), WAYS)
def test_lost_puback_is_detected_and_the_reading_resent(tmp_path: Path, name: str, mqtt: str) -> None:
    # Message 3 and those after it stay unacknowledged, except 4.
    script = Script(lambda publish: [] if publish.seq == 3 and not publish.connection else [publish.identifier])
    with board_at(script, tmp_path, name, PACE, mqtt=mqtt, window=WINDOW) as board:
        line = board.wait_for("PeerVanished")
        board.wait_for("published .* older")
    assert f"no answer within {TIMEOUT_S} s: PUBACK" in line
    assert errors_of(board) == ["PeerVanished"]
    first, again = ([publish.seq for publish in script.seen if publish.connection == n] for n in (0, 1))
    # The last ones before the deadline may have crossed with it.
    assert again[0] == 3
    assert again[1] - first[-1] in {-1, 0, 1}
    assert again[1:] == list(range(again[1], again[-1] + 1))
    assert not any(publish.dup for publish in script.seen), "DUP, and the server has no session to know it from"


def silent_at_first(publish: Publish) -> list[bytes]:
    """On the first connection, acknowledge only the second message, and close once the window is full again."""
    if publish.connection:
        return at_once(publish)
    if publish.seq == WINDOW + 1:
        raise Leave
    return [publish.identifier] if publish.seq == 2 else []


@pytest.mark.parametrize(("name", "mqtt"), WAYS)
def test_session_that_was_kept_gets_the_same_packets_with_dup(tmp_path: Path, name: str, mqtt: str) -> None:
    script = Script(silent_at_first, session_present=bool)
    with board_at(script, tmp_path, name, PACE, mqtt=mqtt, window=WINDOW, clean_session=False):
        script.wait_for(2 * WINDOW + 3)
    first = {publish.seq: publish.identifier for publish in script.seen if not publish.connection}
    second = [publish for publish in script.seen if publish.connection == 1]
    again = [publish for publish in second if publish.dup]
    assert list(first) == [1, 2, 3, 4, 5]
    assert [publish.seq for publish in again] == [1, 3, 4, 5], second
    assert again == second[:WINDOW], "DUP is for what was sent before, and for nothing else"
    assert [publish.identifier for publish in again] == [first[seq] for seq in (1, 3, 4, 5)]
    fresh = [publish.identifier for publish in second[WINDOW:]]
    assert len({*fresh, *first.values()}) == len(fresh) + len(first), "an identifier of a message in flight came again"
    assert script.subscribed == [0], "the session knows the subscription"


@BOTH_VERSIONS
def test_session_that_was_lost_gets_everything_afresh(tmp_path: Path, mqtt: str) -> None:
    script = Script(silent_at_first)
    with board_at(script, tmp_path, "alpn", PACE, mqtt=mqtt, window=WINDOW, clean_session=False):
        script.wait_for(2 * WINDOW + 3)
    second = [publish for publish in script.seen if publish.connection == 1]
    assert [publish.seq for publish in second[:WINDOW]] == [1, 3, 4, 5]
    assert not any(publish.dup for publish in script.seen)
    assert len({publish.identifier for publish in second}) == len(second)
    assert script.subscribed == [0, 1], "the subscription was lost with the session"


@BOTH_VERSIONS
def test_window_is_kept_to(tmp_path: Path, mqtt: str) -> None:
    script = Script(lambda publish: [] if publish.connection == 0 else at_once(publish))
    with board_at(script, tmp_path, "alpn", PACE, mqtt=mqtt, window=WINDOW) as board:
        board.wait_for("PeerVanished")
        script.wait_for(WINDOW + 10)
    assert [publish.seq for publish in script.seen if publish.connection == 0] == [1, 2, 3, 4]
    assert [publish.seq for publish in script.seen if publish.connection == 1][:10] == list(range(1, 11))


@BOTH_VERSIONS
def test_readings_arrive_at_a_server_that_closes_at_each_publish(tmp_path: Path, mqtt: str) -> None:
    def answer(publish: Publish) -> list[bytes]:
        if publish.connection < 2:
            raise Leave
        return at_once(publish)

    script = Script(answer)
    with board_at(script, tmp_path, "alpn", PACE, mqtt=mqtt, window=WINDOW) as board:
        seen = script.wait_for(2 + WINDOW)
        board.wait_for("published")
    assert [(publish.connection, publish.seq) for publish in seen[:3]] == [(0, 1), (1, 1), (2, 1)]
    assert [publish.seq for publish in seen[2:]] == list(range(1, len(seen) - 1))
    assert errors_of(board) == ["ConnectionLost"] * 2


@pytest.mark.parametrize("code", [0x80, 0x87, 0x97, 0x99])
def test_refused_readings_do_not_block_the_queue(tmp_path: Path, code: int) -> None:
    script = Script(lambda publish: [publish.identifier + bytes((code if publish.seq % 2 else 0,))])
    with board_at(script, tmp_path, "alpn", PACE, window=WINDOW) as board:
        seen = script.wait_for(3 * WINDOW)
        board.wait_for(rf"refused: .*\(0x{code:02x}\)")
    assert [publish.seq for publish in seen] == list(range(1, len(seen) + 1))
    assert {publish.connection for publish in seen} == {0}
    # The first with its topic and alias, all others by alias.
    assert [len(came.topic) > 0 for came in script.came] == [True] + [False] * (len(script.came) - 1)


def test_receive_maximum_of_the_server_is_kept_to(tmp_path: Path) -> None:
    held: list[bytes] = []

    def answer(publish: Publish) -> list[bytes]:
        held.append(publish.identifier)
        if len(held) < 2:
            return []
        group, held[:] = list(held), []
        return group

    script = Script(answer, properties=b"\x21\0\x02")
    with board_at(script, tmp_path, "alpn", PACE, window=WINDOW) as board:
        script.wait_for(10)
        board.wait_for("published")
    assert errors_of(board) == []
