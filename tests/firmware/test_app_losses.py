"""What the board loses, and what it reports about it."""

import json

import pytest
from mqtt443 import errors, reconnect

from tests.firmware.app_world import LOST, World


def test_readings_continue_while_the_link_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 60, interval_s=10)
    world.connects = [errors.ConnectFailed("x")] * 3
    world.run()
    assert world.when("reading") == [100, 10000, 20000, 30000, 40000, 50000]
    assert world.published == [json.dumps({"seq": seq}) for seq in range(1, 7)]
    assert len([line for line in world.lines if line.startswith("kept")]) == 4


def test_reading_in_flight_when_the_link_breaks_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 20, interval_s=60)
    world.publishes = [LOST, LOST]
    world.run()
    assert world.published == ['{"seq": 1}'] * 3


def test_backlog_is_logged_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 60, interval_s=10)
    world.connects = [errors.ConnectFailed("x")] * 3
    world.run()
    assert 'published {"seq": 4} and 3 older' in world.lines


def test_losses_and_reset_cause_are_in_the_next_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 20, interval_s=10, qos=1)
    world.cause = "watchdog"
    world.restored = {"dropped": 3, "expired": 2, "seq": 7, "refused": 1}
    world.discarded = 4
    world.run()
    counts = {"dropped": 3, "expired": 2, "refused": 1, "too_large": 4}
    assert world.links == [{**counts, "started": "watchdog"}, counts]
    assert world.published[0] == '{"seq": 8}'


def test_reading_without_memory_to_send_it_is_named_in_a_short_message(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 130)
    world.cause = "watchdog"
    world.reserves = [MemoryError()]
    world.run()
    assert [json.loads(message) for message in world.published] == [
        {"seq": 2, "errors": "MemoryError: no room for this message"},
        {"seq": 3},
        {"seq": 4},
    ]
    assert [link.get("started") for link in world.links] == ["watchdog", "watchdog", None, None]
    assert len(world.when("connect")) == 1


def test_reading_without_memory_for_any_message_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 130)
    world.reserves = [MemoryError(), MemoryError()]
    world.run()
    assert [json.loads(message)["seq"] for message in world.published] == [3, 4]
    assert world.links[2] == {"dropped": 1}
    assert len(world.when("connect")) == 1


def test_recovery_without_memory_ends_in_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    world = World(monkeypatch, 130)
    world.connects = [LOST]
    monkeypatch.setattr(reconnect, "plan", exhausted)
    world.run()
    ((what, _, cause, _, _),) = world.endings
    assert (what, cause) == ("reset", "out of memory")


def test_log_cuts_a_payload_between_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 1)
    world.run()
    for shift in range(4):
        payload = "x" * shift + "😀" * 100
        world.app.note_published(payload.encode())
        line = world.lines[-1].removeprefix("published ")
        assert payload.startswith(line)
        assert 196 < len(line.encode()) <= 200


def test_refused_reading_is_logged_counted_and_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 25, interval_s=10)
    world.refusals = {1: errors.PublishRefused("refused: not authorized (0x87): no iot:Publish", code=0x87)}
    world.run()
    assert world.published == ['{"seq": 1}', '{"seq": 2}', '{"seq": 3}']
    assert world.links == [{}, {"refused": 1}, {"refused": 1}]
    (line,) = [line for line in world.lines if "0x87" in line]
    assert line.startswith("refused: not authorized (0x87): no iot:Publish. Policy lacks iot:Publish on topic")
    assert line.endswith('{"seq": 1}')
    assert len(world.when("connect")) == 1


def test_server_that_speaks_only_311_is_named_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 5)
    world.notice = ", MQTT 3.1.1: the server does not speak 5"
    world.run()
    assert "connected to h, MQTT 3.1.1: the server does not speak 5" in world.lines
