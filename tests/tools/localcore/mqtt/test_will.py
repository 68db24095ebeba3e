"""The will: sent at every end but the client's own goodbye."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.mqtt.client import DISCONNECT, Got, client_connect, client_publish
from tests.support.mqtt.engine import Engine, EngineClient

WILL = ("last/words", b"bye", 1, False)


def cut_by_a_command(engine: Engine, _client: EngineClient) -> None:
    assert engine.broker.disconnect("dev-1", "API_INITIATED_DISCONNECT", "")


ends: dict[str, Callable[[Engine, EngineClient], None]] = {
    "connection lost": lambda _engine, client: client.vanish(),
    "keep alive": lambda engine, _client: engine.advance(91),
    "bad bytes": lambda _engine, client: client.send(b"\x00"),
    "refused publish": lambda _engine, client: client.send(client_publish("$aws/x")),
    "taken over": lambda engine, _client: engine.connected("dev-1").send(DISCONNECT),
    "cut by a command": cut_by_a_command,
    "TTL": lambda engine, _client: engine.advance(86_400),
}


@pytest.mark.parametrize("end", ends.values(), ids=ends.keys())
def test_will_is_sent_once_when_a_connection_ends_otherwise(
    engine: Engine, end: Callable[[Engine, EngineClient], None]
) -> None:
    client = engine.connected("dev-1", will=WILL)
    end(engine, client)
    assert client.closed
    assert [(m.topic, m.payload, m.qos, m.client_id) for m in engine.messages] == [("last/words", b"bye", 1, "dev-1")]


def test_will_comes_when_it_is_sent_not_when_it_was_left(engine: Engine) -> None:
    client = engine.connected("dev-1", will=WILL)
    engine.advance(60)
    now = engine.clock.time()
    client.vanish()
    assert [message.received_at for message in engine.messages] == [now]


def test_disconnect_discards_the_will(engine: Engine) -> None:
    client = engine.connected("dev-1", will=WILL)
    client.send(DISCONNECT + client_publish("t", b"too late"))
    assert client.closed
    assert engine.messages == []
    assert engine.outcomes()[-1] == ("closed", "CLIENT_INITIATED_DISCONNECT")


def test_client_that_was_refused_leaves_no_will(engine: Engine) -> None:
    engine.function.refuse()
    engine.client().send(client_connect(will=WILL))
    assert engine.messages == []


def test_will_can_be_retained(engine: Engine) -> None:
    engine.connected("dev-1", will=("last/words", b"gone", 0, True)).vanish()
    assert engine.subscriber(("last/words", 0)).take() == [Got("last/words", b"gone", 0, retain=True)]


def test_wills_that_set_off_each_other_are_all_sent(engine: Engine) -> None:
    deaf = [
        engine.subscriber(("last/+", 0), client_id=f"deaf-{i}", will=(f"last/{i}", b"%d" % i, 0, False))
        for i in range(300)
    ]
    for client in deaf:
        client.reads = False
    engine.connected("pub").send(client_publish("last/first", b"x"))
    assert sorted(engine.payloads()) == sorted([b"x", *(b"%d" % i for i in range(300))])
