"""Delivery from the broker to one connected client: QoS, window, rates, redelivery, iot:Receive.

Applies all of AWS's limits on outgoing messages; the session holds the messages that are waiting or in flight.
"""

from __future__ import annotations

from collections.abc import Callable

from mqtt443_tools.localcore.auth.access import Access
from mqtt443_tools.localcore.clock import Clock, Handle
from mqtt443_tools.localcore.mqtt.outbound import Outbound
from mqtt443_tools.localcore.mqtt.session import TOO_MANY_WAIT, InFlight, Message, Session
from mqtt443_tools.localcore.policy.engine import Verdict
from mqtt443_tools.localcore.rate import RateWindow
from mqtt443_tools.localcore.settings import Settings


class Delivery:
    """Delivers messages to one connection.

    Args:
        session: the client's session.
        outbound: encodes messages for the client's version.
        window: how many QoS 1 messages may be unacknowledged.
        send: writes bytes to the client.
        access: its policy; iot:Receive is checked at every delivery.
        on_drop: called with (reason, detail, topic) for each message that is not delivered.
    """

    __slots__ = (
        *("_access", "_clock", "_closed", "_on_drop", "_outbound", "_pump_timer", "_rate", "_replay_rate"),
        *("_retry_timer", "_send", "_session", "_settings", "_unsent", "_window"),
    )

    def __init__(
        self,
        session: Session,
        settings: Settings,
        clock: Clock,
        *,
        outbound: Outbound,
        window: int,
        send: Callable[[bytes], None],
        access: Access,
        on_drop: Callable[[str, str, str], None],
    ) -> None:
        self._session = session
        self._settings = settings
        self._clock = clock
        self._outbound = outbound
        self._window = window
        self._send = send
        self._access = access
        self._on_drop = on_drop
        self._rate = RateWindow(settings.publish_rate_per_s, clock)
        self._replay_rate = RateWindow(settings.replay_rate_per_s, clock)
        self._pump_timer: Handle | None = None
        self._retry_timer: Handle | None = None
        self._closed = False
        self._unsent: list[int] = []  # in flight since an earlier connection, and not sent on this one

    def resume(self) -> None:
        """Resend the unacknowledged messages of earlier connections [MQTT-4.4.0-1], then send the stored ones."""
        for packet_id, entry in self._session.in_flight.items():
            entry.sent_at = self._clock.now()  # the wait for its PUBACK starts over with the connection
            self._unsent.append(packet_id)
        self.pump()
        self._arm_retry()

    def deliver(self, message: Message, qos: int) -> None:
        """Deliver a message at QoS 0 or 1; QoS 1 waits its turn behind stored messages."""
        if qos == 0:
            verdict = self._access.receive(message.topic)
            if not verdict.allowed:
                self._forbidden(message, verdict)
            elif not self._rate.take():
                limit = f"over {self._settings.publish_rate_per_s} messages a second to the client"
                self._on_drop("THROTTLED", f"{limit}, topic {message.topic}", message.topic)
            elif (data := self._outbound.encode(message, 0)) is None:
                self._too_large(message)
            else:
                self._send(data)
            return
        if self._session.enqueue(message, stored=False, settings=self._settings):
            self.pump()
        else:
            self._on_drop("QUEUE_FULL", f"{TOO_MANY_WAIT}, topic {message.topic}", message.topic)

    def acknowledge(self, packet_id: int) -> None:
        """Handle a PUBACK; it is ignored if its message is not in flight."""
        if self._session.in_flight.pop(packet_id, None) is not None:
            self.pump()

    def pump(self) -> None:
        """Send waiting messages, as far as window and rates allow."""
        session = self._session
        while self._unsent and len(session.in_flight) - len(self._unsent) < self._window and not self._closed:
            packet_id = self._unsent.pop(0)
            if packet_id in session.in_flight:
                self._send_again(packet_id)
        while session.queue and len(session.in_flight) < self._window and not self._closed:
            rate = self._replay_rate if session.queue[0].stored else self._rate
            if (wait_s := rate.wait_s()) > 0:
                self._pump_later(wait_s)
                return
            message = session.dequeue()
            if message.expired(self._clock.time()):
                self._expired(message)
                continue
            verdict = self._access.receive(message.topic)
            if verdict.allowed:
                rate.take()
                self._send_first(message)
            else:
                self._forbidden(message, verdict)

    def close(self) -> None:
        """Stop; unacknowledged messages stay in the session."""
        self._closed = True
        for timer in (self._pump_timer, self._retry_timer):
            if timer is not None:
                timer.cancel()

    def _send_first(self, message: Message) -> None:
        packet_id = self._session.next_packet_id()
        data = self._outbound.encode(message, 1, packet_id)
        if data is None:
            self._too_large(message)
            return
        self._session.in_flight[packet_id] = InFlight(message, self._clock.now())
        self._send(data)
        self._arm_retry()

    def _send_again(self, packet_id: int) -> None:
        entry = self._session.in_flight[packet_id]
        data = None
        if entry.message.expired(self._clock.time()):
            self._expired(entry.message)
        else:
            data = self._outbound.encode(entry.message, 1, packet_id, dup=self._settings.dup_on_redelivery)
            if data is None:
                self._too_large(entry.message)
        if data is None:
            del self._session.in_flight[packet_id]
        else:
            entry.sent_at = self._clock.now()
            self._send(data)

    def _forbidden(self, message: Message, verdict: Verdict) -> None:
        self._on_drop("AUTHORIZATION_FAILURE", verdict.explanation, message.topic)

    def _expired(self, message: Message) -> None:
        self._on_drop(
            "MESSAGE_EXPIRED", f"its message expiry interval has passed, topic {message.topic}", message.topic
        )

    def _too_large(self, message: Message) -> None:
        """Drop a message as if it had been sent [MQTT5-3.1.2-25]."""
        self._on_drop(
            "PACKET_TOO_LARGE", f"over the client's maximum packet size, topic {message.topic}", message.topic
        )

    def _pump_later(self, wait_s: float) -> None:
        if self._pump_timer is not None:
            self._pump_timer.cancel()
        self._pump_timer = self._clock.call_later(wait_s, self.pump)

    def _arm_retry(self) -> None:
        if self._retry_timer is None and self._session.in_flight and not self._closed:
            oldest = min(entry.sent_at for entry in self._session.in_flight.values())
            self._retry_timer = self._clock.call_later(oldest + self._settings.retry_s - self._clock.now(), self._retry)

    def _retry(self) -> None:
        """Handle overdue PUBACKs: resend the message in 3.1.1, as AWS does, drop it in MQTT 5.

        MQTT 5 sends nothing twice on one connection [MQTT5-4.4.0-1]; AWS drops the message after the same time (General
        Reference, "Maximum retry interval for delivering QoS 1 messages").
        """
        self._retry_timer = None
        due = self._clock.now() - self._settings.retry_s
        for packet_id in [i for i, entry in self._session.in_flight.items() if entry.sent_at <= due]:
            if packet_id in self._unsent:
                self._unsent.remove(packet_id)
            if self._session.version == 4:
                self._send_again(packet_id)
            else:
                message = self._session.in_flight.pop(packet_id).message
                detail = f"no PUBACK for {self._settings.retry_s} s, topic {message.topic}"
                self._on_drop("NOT_ACKNOWLEDGED", detail, message.topic)
        self.pump()
        self._arm_retry()
