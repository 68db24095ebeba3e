"""Commands: what each does to the board; no input and no user function is fatal."""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import mqtt443
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import commands

from tests.firmware.hostile_commands import HOSTILE, RESTART

Handler = Callable[[dict[str, Any]], Any]


class Board:
    """A `CommandContext` that records its calls."""

    def __init__(self) -> None:
        self.handlers = mqtt443.handlers
        self.max_bytes = 4096
        self.did: list[tuple[Any, ...]] = []

    def set_interval(self, seconds: int | None) -> None:
        assert seconds is None or (type(seconds) is int and 1 <= seconds <= 86400)
        self.did.append(("set_interval", seconds))

    def send_now(self) -> None:
        self.did.append(("send_now", None))

    def answer(self, request_id: str | None, key: str, value: Any) -> None:
        json.dumps(value, allow_nan=False)
        self.did.append((key, value) if request_id is None else (key, value, request_id))

    def report(self) -> dict[str, Any]:
        return {"uptime_s": 5}

    def restart(self, cause: str) -> None:
        self.did.append(("restart", cause))


@pytest.fixture(autouse=True)
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Handler]]:
    own: dict[str, Handler] = {}
    monkeypatch.setattr(mqtt443, "handlers", own)
    yield own


def send(message: bytes | dict[str, Any]) -> tuple[str, list[tuple[Any, ...]]]:
    """Run a command; return the line for the log, and what the board was told."""
    board = Board()
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return commands.run(data, board), board.did


def refusal(message: bytes | dict[str, Any]) -> str:
    """Return the reason for which a command is refused; the board was told nothing."""
    board = Board()
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    with pytest.raises(ValueError) as refused:
        commands.run(data, board)
    assert board.did == []
    assert type(refused.value) is ValueError
    reason = str(refused.value)
    assert 0 < len(reason) < 150
    return reason


@pytest.mark.parametrize("seconds", [1, 5, 86400, None])
def test_interval_is_set_or_given_back_to_the_config(seconds: int | None) -> None:
    line, did = send({"command": "interval", "interval_s": seconds})
    assert did == [("set_interval", seconds)]
    assert line == "command interval"


@pytest.mark.parametrize("seconds", [0, -1, 86401, 10**30, 5.0, 1e999, math.nan, True, False, "5", [5], {}])
def test_interval_outside_one_day_is_refused(seconds: object) -> None:
    assert "1 to 86400" in refusal({"command": "interval", "interval_s": seconds})


def test_interval_without_its_argument_is_refused() -> None:
    assert "interval_s" in refusal({"command": "interval", "seconds": 5})


def test_built_in_commands_tell_the_board() -> None:
    assert send({"command": "send_now"}) == ("command send_now", [("send_now", None)])
    assert send({"command": "report"}) == ("command report", [("report", {"uptime_s": 5})])
    assert send({"command": "restart"}) == ("command restart", [("restart", "command restart")])


def test_command_with_a_request_id_is_answered_under_it(handlers: dict[str, Handler]) -> None:
    handlers["relay"] = lambda arguments: {"on": True} if arguments == {"on": True} else None
    order = {"command": "relay", "on": True, "request_id": "r1"}
    assert send(order) == ("command relay", [("report", {"on": True}, "r1")])
    assert send({"command": "relay", "request_id": "r2"})[1] == [("report", {}, "r2")]
    assert send({"command": "restart", "request_id": "r3"})[1] == [
        ("restart", "command restart"),
        ("report", {}, "r3"),
    ]


def test_refused_command_with_a_request_id_is_answered_with_the_reason() -> None:
    board = Board()
    with pytest.raises(ValueError, match="1 to 86400"):
        commands.run(b'{"command": "interval", "interval_s": 0, "request_id": "r1"}', board)
    assert board.did == [("refused", "interval_s must be 1 to 86400, or null", "r1")]


@pytest.mark.parametrize("request_id", ["", "x" * 65, 7, True, ["a"]])
def test_invalid_request_id_is_refused_without_an_answer(request_id: object) -> None:
    refusal({"command": "send_now", "request_id": request_id})


def test_functions_of_the_user_get_the_arguments_alone(handlers: dict[str, Handler]) -> None:
    got: list[dict[str, Any]] = []
    handlers["relay"] = got.append
    assert send({"command": "relay", "on": True, "for_s": 5}) == ("command relay", [])
    assert got == [{"on": True, "for_s": 5}]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"state": "on", "list": [1, None]}, {"state": "on", "list": [1, None]}),
        (True, {"relay": True}),
        (0, {"relay": 0}),
        ("", {"relay": ""}),
        ([1.5], {"relay": [1.5]}),
        ({}, {}),
    ],
)
def test_return_value_of_a_function_is_posted(
    handlers: dict[str, Handler], result: object, message: dict[str, Any]
) -> None:
    handlers["relay"] = lambda _: result
    assert send({"command": "relay"})[1] == [("report", message)]


def endless() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "result", [math.nan, math.inf, b"x", object(), {1: 2}, {"a": {"b": math.nan}}, endless(), {"f": len}]
)
def test_value_that_json_cannot_hold_is_not_posted(handlers: dict[str, Handler], result: object) -> None:
    handlers["relay"] = lambda _: result
    assert refusal({"command": "relay"}).startswith("relay raised ValueError: ")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("no answer on I2C"), "relay raised OSError: no answer on I2C"),
        (ZeroDivisionError(), "relay raised ZeroDivisionError: "),
        (KeyError("on"), "relay raised KeyError: 'on'"),
        (MemoryError(), "relay raised MemoryError: "),
        (SystemExit(3), "relay raised SystemExit: 3"),
        (GeneratorExit(), "relay raised GeneratorExit: "),
        (Mute(), "relay raised Mute"),
        (ValueError("x" * 9999), "relay raised ValueError: " + "x" * 88),
    ],
)
def test_function_that_raises_is_a_refusal_that_names_it(
    handlers: dict[str, Handler], error: BaseException, reason: str
) -> None:
    def relay(_: dict[str, Any]) -> None:
        raise error

    handlers["relay"] = relay
    assert refusal({"command": "relay"}) == reason


def test_ctrl_c_in_a_function_of_the_user_stops_the_board(handlers: dict[str, Handler]) -> None:
    def relay(_: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    handlers["relay"] = relay
    with pytest.raises(KeyboardInterrupt):
        send({"command": "relay"})


def test_endless_recursion_in_a_function_is_a_refusal(handlers: dict[str, Handler]) -> None:
    def relay(order: dict[str, Any]) -> Any:
        return relay(order)

    handlers["relay"] = relay
    assert refusal({"command": "relay"}).startswith("relay raised RecursionError")


def test_built_in_commands_cannot_be_replaced(handlers: dict[str, Handler]) -> None:
    handlers["restart"] = lambda _: {"not": "done"}
    assert send({"command": "restart"})[1] == [("restart", "command restart")]


@pytest.mark.parametrize("name", ["reboot", "", "Interval", "__class__", "run", "x" * 5000, "\x1b[2J\n", "\ud800"])
def test_unknown_name_is_shown_truncated_and_escaped(name: str) -> None:
    reason = refusal({"command": name})
    assert reason.startswith("no command ")
    assert reason.isprintable()


@pytest.mark.parametrize("name", [None, True, 5, 1.5, [], ["restart"], {}, {"restart": 1}])
def test_name_that_is_no_text_is_refused(name: object) -> None:
    assert "TypeError" in refusal({"command": name})


@pytest.mark.parametrize("message", HOSTILE, ids=range(len(HOSTILE)))
def test_message_that_is_no_command_is_refused(message: bytes) -> None:
    refusal(message)


def test_message_that_is_cut_is_refused() -> None:
    # Refused by CPython; MicroPython up to 1.25 closes what is open, but MQTT never truncates a message.
    refusal(RESTART[:-1])


def test_last_of_two_equal_keys_counts() -> None:
    assert send(b'{"command": "report", "command": "send_now"}')[0] == "command send_now"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
names = st.sampled_from(["interval", "send_now", "report", "restart", "echo"]) | st.text()
orders = st.builds(
    lambda name, seconds, more: json.dumps({**more, "command": name, "interval_s": seconds}).encode(),
    names | json_values,
    st.integers(-1, 90000) | json_values,
    st.dictionaries(st.text(), json_values),
)


@given(st.binary() | orders | st.builds(lambda order, cut: order[:cut], orders, st.integers(0, 200)))
def test_any_bytes_are_a_line_or_a_refusal(message: bytes) -> None:
    mqtt443.handlers["echo"] = lambda order: order
    try:
        line, did = send(message)
    except ValueError as error:
        assert type(error) is ValueError
        assert str(error)
    else:
        assert line.startswith("command ")
        assert len(did) == 1
