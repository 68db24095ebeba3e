"""What the console keeps of an endpoint without a history: the last messages, within a number and a size."""

from mqtt443_tools.console.recent import MAX_EVENTS, Recent

from tests.tools.localcore.test_history import message


def test_oldest_messages_go_when_there_are_too_many_or_too_large_ones() -> None:
    recent = Recent(max_messages=3, max_bytes=100)
    for number in range(5):
        recent.add(message(number))
    assert [each["received_at"] for each in recent.messages()] == [2, 3, 4]
    recent.add(message(5, payload=b"x" * 60))
    assert [each["received_at"] for each in recent.messages()] == [3, 4, 5]
    recent.add(message(6, payload=b"x" * 60))
    assert [each["received_at"] for each in recent.messages()] == [6]


def test_messages_of_one_client_and_the_last_of_each() -> None:
    recent = Recent()
    for number in range(4):
        recent.add({**message(number), "client_id": f"c{number % 2}"})
    assert [each["received_at"] for each in recent.messages(client_id="c1")] == [1, 3]
    assert [each["received_at"] for each in recent.messages(client_id="c1", limit=1)] == [3]
    assert [each["received_at"] for each in recent.last_of_each_client()] == [2, 3]


def test_events_are_bounded() -> None:
    recent = Recent()
    recent.add_events([{"time": number} for number in range(2 * MAX_EVENTS)])
    assert len(recent.events()) == MAX_EVENTS
    assert recent.events(1) == [{"time": 2 * MAX_EVENTS - 1}]
