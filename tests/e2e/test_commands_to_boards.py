"""Commands sent to whole boards: what each does, what is refused and counted, and how subscriptions return."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.policy import DEFAULT_PATH
from mqtt443_tools.localcore.auth.account import DEVICES_FILE
from mqtt443_tools.localcore.auth.authorizer import Authorizer
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.localcore.mqtt.subscribe import Subscribing
from mqtt443_tools.support.paths import ROOT
from mqtt443_tools.virtualboard.supervisor import HARD_RESET, PWRON_RESET

from tests.support.board.lives import Living, living
from tests.support.mqtt.endpoint import RunningCore

HANDLERS = """
from mqtt443 import command

@command("relay")
def relay(arguments):
    return {"on": arguments["on"]}

@command("count")
def count(arguments):
    return len(arguments)

@command("exit")
def leave(arguments):
    raise SystemExit

def read():
    return {"id": 0}
"""
# The next reading is due in an hour, so the board sends only what it is asked for.
QUIET: dict[str, Any] = {"interval_s": 3600, "keepalive_s": 1200}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("state"), publish_rate_per_s=0, replay_rate_per_s=0) as core:
        yield core


@pytest.fixture
def subscribes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The client id of each SUBSCRIBE that the endpoint receives from now on."""
    received = []
    subscribe: Callable[..., None] = Subscribing.subscribe

    def spy(self: Subscribing, packet: object) -> None:
        received.append(self._link.session.client_id)
        subscribe(self, packet)

    monkeypatch.setattr(Subscribing, "subscribe", spy)
    return received


def restart(board: Living) -> None:
    """Restart the board by a command, and wait for its first message."""
    seen = len(board.readings)
    board.send({"command": "restart"})
    why = {"started": "command restart"}
    board.wait_until(lambda: any(message.get("link") == why for message in board.readings[seen:]))


@pytest.mark.parametrize("compiled", [False, True], ids=["py", "mpy"])
def test_interval_survives_restarts_until_it_is_reset(endpoint: RunningCore, tmp_path: Path, compiled: bool) -> None:
    with living(endpoint, tmp_path / f"interval-{compiled}", compiled=compiled, **QUIET) as board:
        board.wait_for_next()
        assert board.report()["interval_s"] == 3600
        board.send({"command": "interval", "interval_s": 5})
        board.wait_for_next(2)
        assert board.report()["interval_s"] == 5
        restart(board)
        assert board.report()["interval_s"] == 5
        board.send({"command": "interval", "interval_s": None})
        board.wait_until(lambda: board.report()["interval_s"] == 3600)
        restart(board)
        assert board.report()["interval_s"] == 3600


def test_send_now_takes_a_reading_at_once(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(endpoint, tmp_path / "now", **QUIET) as board:
        board.wait_for_next()
        board.send({"command": "send_now"})
        board.wait_for_next()
        assert [reading["seq"] for reading in board.readings] == [1, 2]


@pytest.mark.parametrize("clean_session", [True, False])
def test_restart_happens_once_and_says_why(endpoint: RunningCore, tmp_path: Path, clean_session: bool) -> None:
    with living(endpoint, tmp_path / f"restart-{clean_session}", clean_session=clean_session, **QUIET) as board:
        board.wait_for_next()
        restart(board)
        assert board.readings[-1]["link"] == {"started": "command restart"}
        # A repeated restart would come before messages that were sent later.
        for _ in range(3):
            board.report()
        assert board.board.virtual.resets == [PWRON_RESET, HARD_RESET]


def test_handlers_in_sensors_py_answer_under_report(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(endpoint, tmp_path / "handlers", sensors=HANDLERS, **QUIET) as board:
        board.wait_for_next()
        board.send({"command": "relay", "on": True})
        board.wait_for_next()
        assert board.readings[-1]["report"] == {"on": True}
        board.send({"command": "count", "a": 1, "b": 2})
        board.wait_for_next()
        assert board.readings[-1]["report"] == {"count": 2}


def test_request_id_comes_back_with_the_answer(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(endpoint, tmp_path / "asked", sensors=HANDLERS, **QUIET) as board:
        board.wait_for_next()
        for request_id, command in (
            ("r1", {"command": "relay", "on": True}),
            ("r2", {"command": "interval", "interval_s": 7200}),
            ("r3", {"command": "relay"}),
            ("r4", {"command": "restart"}),
        ):
            board.send({**command, "request_id": request_id})
            while request_id not in answers(board):
                endpoint.next_message()
        assert answers(board) == {
            "r1": {"report": {"on": True}},
            "r2": {"report": {}},
            "r3": {"refused": "relay raised KeyError: on"},
            "r4": {"report": {}},
        }


def answers(board: Living) -> dict[str, Any]:
    """What the board has answered, by request id."""
    return {
        message["request_id"]: {key: message[key] for key in message if key not in ("time", "request_id")}
        for message in board.readings
        if "request_id" in message
    }


REFUSED = [
    b"",
    b"\xff\xfe",
    b"[" * 400,
    b'"restart"',
    b'{"command": ["restart"]}',
    b'{"command": "reboot"}',
    b'{"command": "interval", "interval_s": 0}',
    b'{"command": "interval", "interval_s": true}',
    b'{"command": "interval", "interval_s": 1e9}',
    b'{"command": "relay"}',
    b'{"command": "exit"}',
]


@pytest.mark.parametrize("compiled", [False, True], ids=["py", "mpy"])
def test_refused_commands_are_counted_and_stop_nothing(endpoint: RunningCore, tmp_path: Path, compiled: bool) -> None:
    folder = tmp_path / f"refused-{compiled}"
    with living(endpoint, folder, compiled=compiled, sensors=HANDLERS, **QUIET) as board:
        board.wait_for_next()
        for count, command in enumerate(REFUSED, 1):
            board.send(command)
            board.wait_for_lines("command refused: ", count)  # with no other packet behind it
        board.send({"command": "send_now"})
        board.wait_for_next()
        assert board.readings[-1]["link"] == {"refused": len(REFUSED)}
        assert sum("command refused: " in line for line in board.board.lines) == len(REFUSED)
        assert board.board.virtual.resets == [PWRON_RESET]
        assert len(board.relay.passages) == 1


def test_oversized_commands_are_discarded_and_counted(endpoint: RunningCore, tmp_path: Path) -> None:
    # With MQTT 5 the server does not even send them.
    config = {"mqtt": "3.1.1", "clean_session": False, "max_message_bytes": 512, **QUIET}
    with living(endpoint, tmp_path / "huge", **config) as board:
        board.wait_for_next()
        for size in (600, 20_000, 128 * 1024):
            board.send(b'{"command": "restart", "pad": "%s"}' % (b"x" * (size - 33)))
        board.send({"command": "send_now"})
        board.wait_for_next()
        assert board.readings[-1]["link"] == {"too_large": 3}
        # They were acknowledged, so they are not sent again.
        board.relay.strike("reset")
        board.send({"command": "send_now"})
        board.wait_for_next()
        assert board.report()["too_large"] == 3
        assert board.board.virtual.resets == [PWRON_RESET]


def test_commands_sent_while_offline_run_after_reconnecting(
    endpoint: RunningCore, tmp_path: Path, subscribes: list[str]
) -> None:
    folder = tmp_path / "kept"
    with living(endpoint, folder, clean_session=False, sensors=HANDLERS, **QUIET) as board:
        board.wait_for_next()
        board.offline()
        board.board.wait_for("next attempt in")
        for n in range(3):
            board.send({"command": "relay", "on": n})
        board.online()
        board.wait_for_next(3)
        assert [message["report"] for message in board.readings[1:]] == [{"on": n} for n in range(3)]
        assert any("session kept" in line for line in board.board.lines)
        assert subscribes == [folder.name], "a kept session keeps its subscription"


def test_lost_session_is_subscribed_again(endpoint: RunningCore, tmp_path: Path, subscribes: list[str]) -> None:
    folder = tmp_path / "lost"
    with living(endpoint, folder, clean_session=False, **QUIET) as board:
        board.wait_for_next()
        board.offline()
        board.board.wait_for("next attempt in")
        board.settle()
        endpoint.run(lambda: endpoint.core.broker._expire(folder.name))
        board.online()
        board.wait_for_lines("connected to", 2)
        # Until it has subscribed again, commands are lost.
        while len(subscribes) < 2:
            endpoint.run(lambda: None)
        assert "version" in board.report()
        assert not any("session kept" in line for line in board.board.lines)


def test_kept_session_survives_a_restart_but_not_a_power_cut(
    endpoint: RunningCore, tmp_path: Path, subscribes: list[str]
) -> None:
    folder = tmp_path / "restarted"
    with living(endpoint, folder, clean_session=False, **QUIET) as board:
        board.wait_for_next()
        restart(board)
        assert "version" in board.report()
        assert subscribes == [folder.name]
        board.off()
        board.on()
        board.wait_for_next()
        assert "version" in board.report()
        assert subscribes == [folder.name] * 2, "the board cannot know that the session is its own"


# With MQTT 5 the endpoint says no, with 3.1.1 it closes the connection, twice until the board gives up.
@pytest.mark.parametrize(("mqtt", "connections"), [("5", 1), ("3.1.1", 3)])
def test_board_that_may_not_subscribe_still_sends_telemetry(tmp_path: Path, mqtt: str, connections: int) -> None:
    state, policy = tmp_path / "state", tmp_path / "policy.json"
    state.mkdir()
    policy.write_text(DEFAULT_PATH.read_text().replace("iot:Subscribe", "iot:RetainPublish"))
    function = LambdaFunction(
        ROOT / "authorizer",
        "mqtt443_authorizer.handler.handler",
        environment={"MQTT443_STORE": f"sqlite:{state / DEVICES_FILE}", "MQTT443_POLICY": str(policy)},
        name="mute",
        region="eu-west-1",
        account="123456789012",
        on_log=print,
    )
    authorizers = [Authorizer("mute", function)]
    with (
        RunningCore(state, authorizers=authorizers, publish_rate_per_s=0) as core,
        living(core, tmp_path / "b", mqtt=mqtt) as board,
    ):
        board.wait_for_next(3)
        assert sum("no commands: " in line for line in board.board.lines) == 1
        seqs = [reading["seq"] for reading in board.readings]
        assert seqs == list(range(1, len(seqs) + 1))
        assert board.board.virtual.resets == [PWRON_RESET]
        assert len(board.relay.passages) == connections
