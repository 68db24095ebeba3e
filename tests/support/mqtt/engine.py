"""The MQTT engine without sockets: clients that pass bytes directly, a manual clock, an in-process Lambda."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

from mqtt443_tools.localcore.auth.authorizer import Authorizer
from mqtt443_tools.localcore.auth.peer import Endpoint, Peer
from mqtt443_tools.localcore.auth.registry import AuthorizerRegistry
from mqtt443_tools.localcore.context import Context
from mqtt443_tools.localcore.event_log import BrokerLog, EventLog
from mqtt443_tools.localcore.events import Event
from mqtt443_tools.localcore.faults import Faults
from mqtt443_tools.localcore.front.mqtt_driver import MqttDriver
from mqtt443_tools.localcore.mqtt.broker import Broker
from mqtt443_tools.localcore.mqtt.connect import Admission
from mqtt443_tools.localcore.mqtt.reserved import is_presence_filter
from mqtt443_tools.localcore.mqtt.session import Message
from mqtt443_tools.localcore.settings import Settings

from tests.support.mqtt.client import Connack, Got, Inbox, Suback, client_connect, client_subscribe
from tests.support.mqtt.client5 import Connack5, Got5, Inbox5, Suback5, connect5, subscribe5
from tests.support.mqtt.manual_clock import ManualClock

ARN = "arn:aws:iot:eu-west-1:123456789012"


def allow(*statements: tuple[str, str], effect: str = "Allow") -> list[dict[str, Any]]:
    """Statements of a policy: pairs of action (without `iot:`) and resource (without the ARN's start)."""
    return [{"Effect": effect, "Action": f"iot:{a}", "Resource": f"{ARN}:{r}"} for a, r in statements]


EVERYTHING = allow(("*", "*"))


class InProcessFunction:
    """Replaces a LambdaFunction; returns the given answers and records the events."""

    def __init__(self) -> None:
        self.arn = "arn:aws:lambda:eu-west-1:123456789012:function:test"
        self.events: list[Any] = []
        self.answer: Any = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.allow(EVERYTHING)

    def allow(self, statements: list[dict[str, Any]], *, refresh_s: int = 86_400, disconnect_s: int = 86_400) -> None:
        self.answer = {
            "isAuthenticated": True,
            "principalId": "test",
            "policyDocuments": [{"Version": "2012-10-17", "Statement": statements}],
            "refreshAfterInSeconds": refresh_s,
            "disconnectAfterInSeconds": disconnect_s,
        }

    def refuse(self) -> None:
        self.answer = {"isAuthenticated": False}

    def on_log(self, line: str) -> None:
        raise AssertionError(line)

    async def invoke(self, event: Any) -> Any:
        self.events.append(event)
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        return


class Engine:
    """One account without a network."""

    def __init__(self, **settings: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.settings = Settings(**{"connect_rate_per_s": 0, **settings})
        self.clock = ManualClock()
        self.function = InProcessFunction()
        function: Any = self.function
        registry = AuthorizerRegistry([Authorizer("test", function)], "test", self.clock)
        self.events: list[Event] = []
        self.log: list[str] = []
        self.messages: list[Message] = []
        self.broker = Broker(self.settings, self.clock, BrokerLog(self.events.append, self.clock).dropped)
        self.broker.watch(self._take)
        admission = Admission(self.settings, self.clock)
        self.context = Context(
            self.settings,
            self.clock,
            registry,
            admission,
            self.broker,
            self.events.append,
            self.log.append,
            Faults(self.clock),
        )

    def close(self) -> None:
        self.broker.close("SERVER_INITIATED_DISCONNECT", "the test ends")
        self.settle()
        self.loop.close()

    def client(self, version: int = 4, **peer: Any) -> EngineClient:
        """A client that has done its TLS handshake; `version` is that of its packets."""
        return EngineClient(self, version, **peer)

    def connected(self, client_id: str = "dev-1", **connect: Any) -> EngineClient:
        """A client whose CONNECT was accepted."""
        client = self.client()
        client.send(client_connect(client_id, **connect))
        (answer,) = client.take(1)
        assert isinstance(answer, Connack)
        assert answer.code == 0
        return client

    def connected5(self, client_id: str = "dev-1", **connect: Any) -> EngineClient:
        """A client of MQTT 5 whose CONNECT was accepted."""
        client = self.client(5)
        client.send(connect5(client_id, **connect))
        (answer,) = client.take(1)
        assert isinstance(answer, Connack5)
        assert answer.code == 0
        return client

    def subscriber5(self, *filters: tuple[str, int], client_id: str = "sub", **connect: Any) -> EngineClient:
        """A client of MQTT 5 that has connected and subscribed."""
        client = self.connected5(client_id, **connect)
        client.send(subscribe5(*filters))
        assert isinstance(client.next(), Suback5)
        return client

    def subscriber(self, *filters: tuple[str, int], client_id: str = "sub", **connect: Any) -> EngineClient:
        """A client that has connected and subscribed; retained messages are still in its queue."""
        client = self.connected(client_id, **connect)
        client.send(client_subscribe(*filters))
        assert isinstance(client.next(), Suback)
        return client

    def advance(self, seconds: float) -> None:
        """Let time pass, and run everything that is then due."""

        async def pass_time() -> None:
            self.clock.advance(seconds)

        self.loop.run_until_complete(pass_time())
        self.settle()

    def settle(self) -> None:
        """Run the event loop until nothing is ready (the in-process Lambda needs a few rounds)."""

        async def rounds() -> None:
            for _ in range(20):
                await asyncio.sleep(0)

        self.loop.run_until_complete(rounds())

    def outcomes(self) -> list[tuple[str, str]]:
        """All events so far, as outcome and reason."""
        return [(event.outcome, event.reason) for event in self.events]

    def payloads(self) -> list[bytes]:
        """The payloads of all messages that were published."""
        return [message.payload for message in self.messages]

    def _take(self, message: Message) -> None:
        if not is_presence_filter(message.topic):  # every client causes such events
            self.messages.append(message)


MakeEngine = Callable[..., Engine]
"""Makes an Engine with these settings, closed when the test ends."""


class EngineClient:
    """A channel and the client at its other end."""

    def __init__(self, engine: Engine, version: int, **peer: Any) -> None:
        self.closed = False
        self.reads = True
        self._engine = engine
        self._inbox = Inbox5() if version == 5 else Inbox()
        self._received: list[Any] = []
        endpoint = peer.pop("endpoint", Endpoint("localhost", is_domain=False))
        connection_id = str(uuid.uuid4())
        channel: Any = _Channel(self)
        self.driver = MqttDriver(
            channel,
            Peer(endpoint, "127.0.0.1", endpoint.name, connection_id, **peer),
            EventLog(engine.events.append, engine.clock, "127.0.0.1", connection_id),
            engine.context,
        )
        self.mqtt = self.driver.mqtt

    def send(self, data: bytes) -> None:
        """Deliver bytes to the endpoint."""

        async def arrive() -> None:
            self.driver.data_received(data)

        self._engine.loop.run_until_complete(arrive())
        self._engine.settle()

    def vanish(self) -> None:
        """Close the connection without DISCONNECT."""
        self.mqtt.end("CONNECTION_LOST", "gone")

    def take(self, count: int | None = None) -> list[Any]:
        """All new packets; fails if there are not `count`."""
        received, self._received = self._received, []
        assert count is None or len(received) == count, f"expected {count} packets, got {received}"
        return received

    def next(self) -> Any:
        """The first new packet."""
        return self._received.pop(0)

    def payloads(self) -> list[bytes]:
        """The payloads of the new PUBLISH packets."""
        return [packet.payload for packet in self.take() if isinstance(packet, (Got, Got5))]

    def deliver(self, data: bytes) -> bool:
        if not self.reads:
            self.closed = True
            return False
        assert not self.closed, "sent after the close"
        self._received += self._inbox.feed(data)
        return True


class _Channel:
    def __init__(self, client: EngineClient) -> None:
        self._client = client

    def send(self, data: bytes) -> bool:
        return self._client.deliver(data)

    def pause(self) -> None:
        """Do nothing: bytes from the test still arrive."""

    def resume(self) -> None:
        """See pause."""

    def close(self) -> None:
        self._client.closed = True
