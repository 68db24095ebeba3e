"""One MQTT connection as AWS IoT Core treats it, in both versions: from the first packet to the close.

Sans-I/O: bytes come in through `receive`; bytes and requests go out through a `Driver`; time comes from the clock.
Nothing here waits: the driver asks the authorizer and answers with `granted`, `not_granted`, `refreshed` or
`not_refreshed`. `connect` admits or refuses a client, `accepted` serves it, `client_answers` speaks its version,
`timers` end a connection that is silent or too old.
"""

from __future__ import annotations

import traceback
from collections import deque
from typing import Protocol

from mqtt443_tools.localcore.auth.authorizer import Grant
from mqtt443_tools.localcore.auth.peer import Peer
from mqtt443_tools.localcore.auth.request import Request
from mqtt443_tools.localcore.context import Context
from mqtt443_tools.localcore.event_log import EventLog
from mqtt443_tools.localcore.faults import FAULT_INJECTED, Fault, explained
from mqtt443_tools.localcore.localcore_errors import AdmissionRefusedError, Refused
from mqtt443_tools.localcore.mqtt.accepted import AcceptedClient
from mqtt443_tools.localcore.mqtt.capabilities import capabilities, session_expiry_s
from mqtt443_tools.localcore.mqtt.client_answers import Answers, Answers5, Answers311
from mqtt443_tools.localcore.mqtt.connect import Admitted
from mqtt443_tools.localcore.mqtt.delivery import Delivery
from mqtt443_tools.localcore.mqtt.link import Link
from mqtt443_tools.localcore.mqtt.packets import Connect, Malformed, Packet
from mqtt443_tools.localcore.mqtt.parser import Parser
from mqtt443_tools.localcore.mqtt.presence import Present
from mqtt443_tools.localcore.mqtt.reason_codes import DISCONNECT_CODES, ReasonCode
from mqtt443_tools.localcore.mqtt.session import Message
from mqtt443_tools.localcore.mqtt.timers import Timers, effective_keep_alive_s

GONE = ("CLIENT_INITIATED_DISCONNECT", "CONNECTION_LOST", FAULT_INJECTED)
"""Reasons for a close without DISCONNECT, unless a reason code is given."""


class Driver(Protocol):
    """Carries out the requests of a connection."""

    def send(self, data: bytes) -> bool:
        """Send a packet; False means that the connection was aborted because the client does not read."""

    def authorize(self, request: Request) -> None:
        """Ask the authorizer about a CONNECT; answer with `granted` or `not_granted`."""

    def refresh(self, grant: Grant) -> None:
        """Ask the authorizer again for an established connection; answer with `refreshed` or `not_refreshed`."""

    def close(self) -> None:
        """Close once everything is sent; cancel a refresh. The authorizer's answer to a CONNECT is ignored."""


class MqttConnection:
    """One connection; `open` turns False when it ends, whichever side ends it."""

    __slots__ = (
        *("_answers", "_authorizing", "_context", "_delivery", "_driver", "_event_log", "_parser", "_peer"),
        *("_present", "_settings", "_timers", "_up", "_waiting", "open"),
    )

    def __init__(self, driver: Driver, peer: Peer, event_log: EventLog, context: Context) -> None:
        self.open = True
        self._driver = driver
        self._peer = peer
        self._event_log = event_log
        self._context = context
        self._settings = context.settings
        self._parser = Parser(context.settings.max_packet_bytes)
        self._timers = Timers(context.settings, context.clock, on_end=self.end, on_refresh=self._start_refresh)
        self._timers.await_connect()
        self._answers: Answers = Answers311(context.settings)
        self._up: AcceptedClient | None = None
        self._delivery: Delivery | None = None  # while messages of the broker can be sent
        self._present: Present | None = None
        self._waiting: deque[Packet] = deque()
        self._authorizing: Connect | None = None  # the CONNECT that the authorizer is asked about

    def receive(self, data: bytes) -> None:
        """Process bytes from the client, and act on each packet that they complete.

        Packets that follow a CONNECT wait until the authorizer has answered.
        """
        self._waiting.extend(self._parser.feed(data))
        self._process()

    def granted(self, grant: Grant) -> None:
        """Continue with a CONNECT that the authorizer accepted."""
        connect = self._end_authorizing()
        if connect is None:
            return
        if self._settings.before_connack == "close" and (early := self._early()):
            detail = f"{early} before CONNACK: AWS asks clients to wait for it"
            self.end("CLIENT_ERROR", detail, code=ReasonCode.PROTOCOL_ERROR)
            return
        try:
            admitted = self._context.admission.admit(connect, self._peer, grant)
        except AdmissionRefusedError as refused:
            self.end(refused.reason, refused.detail, code=refused.reason_code)
            if refused.reason == "AUTHORIZATION_FAILURE":
                self._context.broker.presence.connect_failed(connect.client_id, self._peer, grant.principal_id)
        else:
            self._accept(connect, admitted)
            self._process()

    def not_granted(self, refused: Refused) -> None:
        """Refuse a CONNECT that the authorizer refused."""
        connect = self._end_authorizing()
        if connect is not None:
            said = None if refused.said is None else f"{refused.detail}: {refused.said}"
            self.end(refused.reason, refused.detail, code=self._settings.mqtt5_login_code, said=said)
            self._context.broker.presence.connect_failed(connect.client_id, self._peer, "")

    def refreshed(self, grant: Grant) -> None:
        """Apply the new policy of an established connection, which may end it."""
        if self._up is None or not self.open:
            return
        access = self._up.link.access
        access.grant = grant
        verdict = access.connect(self._up.link.session.client_id)
        if self._settings.recheck_connect and not verdict.allowed:
            self.end("AUTH_ERROR", f"refresh: {verdict.explanation}")
        else:
            self._timers.refreshed(grant)

    def not_refreshed(self, refused: Refused) -> None:
        """End a connection that the authorizer no longer accepts."""
        self.end("AUTH_ERROR", f"refresh: {refused.reason}: {refused.detail}")

    def deliver(self, message: Message, qos: int) -> None:
        """Send a message from the broker."""
        if self._delivery is not None:
            self._delivery.deliver(message, qos)

    def end(
        self, reason: str, detail: str, *, code: int | None = None, said: str | None = None, send_will: bool = True
    ) -> None:
        """Close the connection and, if it was up, leave the broker.

        Args:
            reason: AWS's word for it.
            detail: one line, without secrets.
            code: MQTT 5 reason code; None: that of the reason.
            said: the text for the client, instead of the detail.
            send_will: False if the client sent DISCONNECT.
        """
        if not self.open:
            return
        self.open = False
        self._delivery = None
        self._timers.close()
        self._event_log.close()
        self._event_log.write("closed" if self._up else "refused", reason, detail)
        if reason not in GONE or code is not None:
            self._say_farewell(reason, detail if said is None else said, code)
        self._driver.close()
        if (up := self._up) is not None:
            will, delay_s = up.close(send_will=send_will)
            self._context.broker.detach(up.link.session.client_id, will, will_delay_s=delay_s)
        if self._present is not None:
            self._context.broker.presence.disconnected(self._present, reason)

    def fail(self, error: Exception) -> None:
        """End this connection, but no other, because of an internal error of the endpoint."""
        self._context.log("".join(traceback.format_exception(error)))
        self.end("SERVER_ERROR", f"internal error: {type(error).__name__}")

    def _say_farewell(self, reason: str, detail: str, code: int | None) -> None:
        if self._up is None:
            answer = self._answers.refuse(ReasonCode.UNSPECIFIED_ERROR if code is None else code, detail)
        else:
            code = DISCONNECT_CODES.get(reason, ReasonCode.UNSPECIFIED_ERROR) if code is None else code
            answer = self._answers.disconnect(code, detail)
        if answer is not None:
            self._driver.send(answer)

    def _send(self, data: bytes | None) -> None:
        if data is not None and self.open and not self._driver.send(data):
            self.end("CONNECTION_LOST", f"the client does not read: {self._settings.max_write_buffer_bytes} bytes wait")

    def _process(self) -> None:
        while self._waiting and self.open and self._authorizing is None:
            packet = self._waiting.popleft()
            self._timers.heard()
            if self._up is None:
                self._first(packet)
            else:
                self._up.handle(packet)

    def _first(self, packet: Packet) -> None:
        """Handle the first packet, which must be CONNECT [MQTT-3.1.0-1]."""
        self._timers.connect_came()
        if isinstance(packet, Malformed):
            if self._parser.version == 5:
                self._answers = Answers5(self._settings)
            self.end("CLIENT_ERROR", packet.detail, code=packet.reason_code)
        elif not isinstance(packet, Connect):
            self.end("CLIENT_ERROR", f"{type(packet).__name__.upper()} came before CONNECT [MQTT-3.1.0-1]")
        else:
            self._event_log.client_id = packet.client_id or None
            if packet.version == 5:
                self._answers = Answers5(self._settings, packet.properties)
            if self._context.faults.hits(packet.client_id, Fault.REFUSE):
                detail = explained(Fault.REFUSE, "CONNECT is refused")
                self.end(FAULT_INJECTED, detail, code=self._settings.mqtt5_login_code)
                return
            try:
                request = self._context.admission.request(packet, self._peer)
            except AdmissionRefusedError as refused:
                self.end(refused.reason, refused.detail, code=refused.reason_code)
            else:
                self._authorizing = packet
                self._driver.authorize(request)

    def _end_authorizing(self) -> Connect | None:
        """Return the CONNECT that was waiting for the authorizer; None if the connection has ended meanwhile."""
        connect, self._authorizing = self._authorizing, None
        return connect if self.open else None

    def _early(self) -> str:
        """Name the packets that came before CONNACK."""
        names = [type(packet).__name__.upper() for packet in self._waiting if not isinstance(packet, Malformed)]
        return f"sent {', '.join(dict.fromkeys(names))}" if names else ""

    def _accept(self, connect: Connect, admitted: Admitted) -> None:
        client_id, access = admitted.client_id, admitted.access
        self._event_log.client_id, self._event_log.transport = client_id, self._peer.transport
        expires = self._context.faults.hits(client_id, Fault.EXPIRE_SESSION)
        session, present = self._context.broker.attach(
            self,
            client_id,
            clean=connect.clean_session or expires,
            expiry_s=session_expiry_s(connect, self._settings),
            version=connect.version,
        )
        link = Link(self._context, self._event_log, self._answers, session, access, self._send, self.end)
        self._up = up = AcceptedClient(connect, link)
        self._delivery = up.delivery
        protocol = "MQTT 5" if link.is_5 else "MQTT"
        protocol += " over WebSocket" if self._peer.over_websocket else ""
        keep_alive_s = effective_keep_alive_s(connect.keep_alive_s, self._settings)
        found = "session present" if present else "new session"
        found += f" (fault {Fault.EXPIRE_SESSION})" if expires else ""
        detail = f"{protocol}, authorizer {access.grant.authorizer.name}, keep alive {keep_alive_s} s, {found}"
        if early := self._early():
            detail += f"; {early} before CONNACK, which AWS asks clients to wait for"
        self._event_log.facts["mqtt"] = "5" if link.is_5 else "3.1.1"
        self._event_log.facts["statement"] = access.connect(client_id).explanation
        self._event_log.write("accepted", "CONNECTED", detail)
        able = capabilities(connect, client_id, self._settings)
        self._send(self._answers.accept(session_present=present, found=able))
        if self._context.faults.hits(client_id, Fault.CLOSE_AFTER_CONNACK):
            self.end(FAULT_INJECTED, explained(Fault.CLOSE_AFTER_CONNACK, "the connection ends right after CONNACK"))
        if self.open:
            self._timers.start(connect.keep_alive_s, access.grant, over_websocket=self._peer.over_websocket)
            up.resume()
        if self.open:
            self._present = self._context.broker.presence.connected(client_id, self._peer, access.grant.principal_id)

    def _start_refresh(self) -> None:
        if self._up is not None:
            self._driver.refresh(self._up.link.access.grant)
