"""Commands as the running App carries them out."""

import json
from pathlib import Path

import pytest
from mqtt443 import command_context, errors, storage

from tests.firmware.app_world import CLOSED, LOST, World


def test_commands_are_subscribed_to_once_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 100, commands=True, interval_s=60)
    world.publishes = [LOST, LOST, None]
    world.run()
    assert len(world.when("subscribe")) == len(world.when("connect")) == 3
    world = World(monkeypatch, 100, commands=True, interval_s=60)
    world.publishes = [LOST, LOST, None]
    world.session = True
    world.run()
    assert (len(world.when("subscribe")), len(world.when("connect"))) == (1, 3)


@pytest.mark.parametrize("error", [CLOSED, errors.SubscribeRefused("SUBACK refused the filter")])
def test_subscription_refused_twice_is_not_requested_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    world = World(monkeypatch, 400, commands=True, interval_s=60)
    world.subscribes = [error, error]
    world.run()
    assert len(world.when("subscribe")) == 2
    assert any("no commands" in line for line in world.lines)
    assert world.published


def test_two_network_failures_at_subscribe_do_not_disable_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, 400, commands=True, interval_s=60)
    world.subscribes = [LOST, LOST]
    world.run()
    assert len(world.when("subscribe")) == 3
    assert not any("no commands" in line for line in world.lines)


@pytest.mark.parametrize("message", [b"", b"\xff", b"[]", b'{"command": "no such"}', b"[" * 5000])
def test_refused_command_is_counted_and_the_board_continues(monkeypatch: pytest.MonkeyPatch, message: bytes) -> None:
    world = World(monkeypatch, 25, commands=True, interval_s=10)
    world.incoming = [(0, message)]
    world.run()
    assert world.links[-1] == {"refused": 1}
    assert len(world.published) == 3


def test_command_too_large_for_memory_is_refused_and_the_link_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def execute(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(command_context, "execute", execute)
    world = World(monkeypatch, 25, commands=True, interval_s=10)
    world.incoming = [(0, b'{"command": "report"}')]
    world.run()
    assert world.links[-1] == {"refused": 1}
    assert len(world.when("connect")) == 1, "it would come again with every connection"


def test_retained_command_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 25, commands=True, interval_s=10)
    world.incoming = [(0, b'{"command": "restart"}')]
    world.retained = True
    world.run()
    assert world.endings == []
    assert world.links[-1] == {"refused": 1}


def test_new_interval_counts_from_now_and_outlives_a_restart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch, 25, commands=True, interval_s=60)
    world.root = f"{tmp_path}/"
    world.incoming = [(0, b'{"command": "interval", "interval_s": 5}')]
    world.run()
    assert world.when("reading") == [100, 5100, 10100, 15100, 20100]
    assert storage.load_state(f"{tmp_path}/state", pytest.fail) == {"interval_s": 5}


def test_report_is_a_message_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 5, commands=True)
    world.incoming = [(0, b'{"command": "report"}')]
    world.run()
    report = json.loads(world.published[-1])["report"]
    assert (report["transport"], report["interval_s"], report["seq"]) == ("alpn", 60, 1)
    assert "hunter2" not in world.published[-1]


def test_command_that_is_registered_after_the_start_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 5, commands=True)
    world.incoming = [(0, b'{"command": "late"}')]

    def stop() -> bool:
        world.handlers["late"] = lambda _: 7
        return World.stop(world)

    monkeypatch.setattr(world, "stop", stop)
    world.run()
    assert json.loads(world.published[-1])["report"] == {"late": 7}


def test_subscription_refused_with_its_reason_leaves_the_connection_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 20, interval_s=10, commands=True)
    world.subscribes = [errors.SubscribeRefused("refused: not authorized (0x87)", code=0x87)]
    world.run()
    assert len(world.when("connect")) == len(world.when("subscribe")) == 1
    assert len(world.published) == 2
    assert any(
        line.startswith("no commands: refused: not authorized (0x87). Policy lacks iot:S") for line in world.lines
    )
