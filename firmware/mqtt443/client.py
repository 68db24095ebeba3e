"""umqtt's MQTTClient with deadlines, one write per packet, and errors that name the cause.

It subclasses umqtt: ping, wait_msg and check_msg are umqtt's own, over `Packets`. connect, publish, subscribe and
unsubscribe are rewritten, because umqtt's cannot be corrected from below (they open their own socket, allow one message
in flight, write a one-byte length and have no deadline). Works with umqtt.simple 1.3.4 to 1.8.0. `sender` keeps a
window of messages; `app` reconnects.
"""

import gc

from umqtt.simple import MQTTClient

from . import errors
from ._port import const, phase, ticks_diff, ticks_ms
from .packets import Packets
from .transport import Transport

_MAX_PAYLOAD_BYTES = const(131072)  # AWS General Reference, "AWS IoT Core endpoints and quotas"
_PUBACK = const(0x40)
# The most bytes of a PUBLISH besides topic and payload: header, packet identifier, alias, expiry.
_AROUND = const(18)
# Packets handled in one `wait`: a server that never stops sending must not stall the loop.
_MAX_PACKETS = const(100)
_GOODBYE_MS = const(2000)


class Client(MQTTClient):
    """An MQTT client, version 5 or 3.1.1, for one config.

    config: a `Config`. transport: what opens and checks streams; made from config if None. ticks: seam, a millisecond
    counter. `on_puback`: called with the packet identifier of each PUBACK that no `publish` here waits for, and with
    its PublishRefused or None.
    config.timeout_s bounds every wait. After any error raised here the connection is unusable: connect again. Only
    PublishRefused and, with MQTT 5, SubscribeRefused leave it usable.

    mqtt5: whether CONNECT speaks MQTT 5; False once a server has refused it, and `notice` then says so. What the server
    allows on this connection: `keepalive_s`, `receive_maximum` (QoS 1 messages in flight), `max_qos`,
    `retain_available`, `max_packet_bytes`.
    """

    def __init__(self, config, transport=None, ticks=ticks_ms):
        user = config.mqtt_username
        super().__init__(
            config.client_id.encode(),
            config.endpoint,
            config.port,
            None if user is None else user.encode(),
            config.password.encode() or None,
            config.keepalive_s,
        )
        self.transport = transport or Transport(config)
        self.ticks = ticks
        self.clean_session = config.clean_session
        self.timeout_ms = config.timeout_s * 1000
        self.mqtt5 = config.mqtt == "5"
        self.notice = ""
        self.window = config.window
        self.max_message_bytes = config.max_message_bytes
        self.packets = Packets(config.max_message_bytes, config.topic.encode())
        self.last_received_ms = self._pinged_at = ticks()  # ticks of the last answer and of the last PINGREQ
        self.pending_acks = {}  # packet identifiers that `publish` waits for; None, or what the PUBACK said
        self.on_puback = None
        if config.will_topic:
            self.set_last_will(config.will_topic.encode(), config.will_message.encode())

    @property
    def discarded(self):
        """How many messages were larger than max_message_bytes and thrown away."""
        return self.packets.discarded

    @property
    def pinged(self):
        """Whether a PINGRESP is pending."""
        return self.packets.pinged

    @property
    def retained(self):
        """Whether the message passed to the callback was retained [MQTT-3.3.1-8]."""
        return bool(self.packets.view[0] & 1)

    def connect(self, clean_session=None):
        """Open the transport, send CONNECT, wait for CONNACK; return whether the server kept a session.

        clean_session: config.clean_session if None. Raises ClosedBeforeConnack, ConnectRefused, ConnackTimeout, NoAlpn,
        MalformedPacket, and what opening the transport raises.
        """
        self.close()
        gc.collect()  # a TLS connection needs the largest block that the heap has
        with phase():
            from .connection import connect

            try:
                return connect(self, self.clean_session if clean_session is None else clean_session)
            except Exception:
                self.close()
                raise

    def deadline(self, step, timeout_ms=None):
        """Give the next calls timeout_ms (None: config.timeout_s); step names them in errors."""
        self.packets.deadline(timeout_ms or self.timeout_ms, step)

    def require_connected(self):
        """Raise ConnectionLost if there is no connection."""
        if self.sock is None:
            raise errors.ConnectionLost("not connected")

    def publish(self, topic, msg, retain=False, qos=0):
        """Publish msg (str or bytes, up to 128 KB) to topic; with qos 1 wait for the PUBACK.

        Raises PeerVanished if it does not come, PublishRefused, ConnectionLost, ValueError for messages that AWS never
        accepts.
        """
        if qos not in (0, 1):
            raise ValueError("qos must be 0 or 1: AWS has no QoS 2")
        msg = _bytes(msg)
        if len(msg) > _MAX_PAYLOAD_BYTES:
            raise ValueError("payload of %d bytes; AWS takes 131072" % len(msg))
        topic = _bytes(topic)
        self.require_connected()
        qos = min(qos, self.max_qos)
        if not self.fits(topic, msg):
            raise ValueError("message of %d bytes; the server takes %d" % (len(msg), self.max_packet_bytes))
        if retain and not self.retain_available:
            raise ValueError("the server keeps no retained messages")
        pid = self.next_pid() if qos else 0
        self.queue_publish(topic, msg, pid, bool(retain))
        self.flush()
        if qos:
            self.pending_acks[pid] = None
            self._during("PUBACK", self._await, pid)
            refusal = self.pending_acks.pop(pid)
            if refusal is not True:
                raise refusal

    def _await(self, pid):
        while not self.pending_acks[pid]:
            self.wait_msg()

    def fits(self, topic, msg):
        """Return whether the server accepts a PUBLISH of the size of topic and msg (bytes)."""
        return len(topic) + len(msg) + _AROUND <= self.max_packet_bytes

    def next_pid(self):
        """Return the next packet identifier, 1 to 65535 [MQTT-2.3.1-1]."""
        self.pid = self.pid % 65535 + 1
        return self.pid

    def reserve(self, size):
        """Make room to send a message whose topic and payload have size bytes. Raises MemoryError."""
        self.packets.reserve(size)

    def queue_publish(self, topic, msg, pid=0, flags=0, expiry_s=0):
        """Queue one PUBLISH; it leaves with `flush`, packed with others. pid 0 means QoS 0.

        topic, msg: bytes. flags: DUP 8, RETAIN 1 (MQTT section 3.3.1). expiry_s: how many seconds the server may keep
        the message, 0 for no limit.
        """
        self.require_connected()
        self.deadline("PUBLISH")
        self.packets.publish(0x30 | flags | (2 if pid else 0), topic, msg, pid, expiry_s)

    def flush(self):
        """Send what is queued."""
        self.require_connected()
        self._during("PUBLISH", self.packets.flush)

    def subscribe(self, topic, qos=0):
        """Subscribe to one filter; return the QoS granted. set_callback comes first.

        Raises SubscribeRefused for SUBACK 0x80, ConnectionLost (AWS's way to refuse), PeerVanished.
        """
        if self.cb is None:
            raise ValueError("set_callback comes before subscribe")
        with phase():
            from .connection import subscribe

            return self._during("SUBACK", subscribe, self, _bytes(topic), qos)

    def unsubscribe(self, topic):
        """Unsubscribe from one filter and wait for UNSUBACK. Raises ConnectionLost, PeerVanished."""
        with phase():
            from .connection import unsubscribe

            self._during("UNSUBACK", unsubscribe, self, _bytes(topic))

    def _during(self, step, call, *args):
        self.require_connected()
        self.deadline(step)
        try:
            return call(*args)
        except errors.Timeout:
            raise errors.timeout_error(errors.PeerVanished, step, self.timeout_ms // 1000)

    def wait_msg(self):
        """Wait for one packet and handle it, as umqtt does; the deadline is the one of the surrounding call."""
        self.sock.skip()
        op = super().wait_msg()
        if op == _PUBACK:
            puback = self.packets.body()  # its length may have two bytes (MQTT 5)
            pid = puback[0] << 8 | puback[1]
            self.last_received_ms = self.ticks()
            refusal = self.packets.refusal
            if pid in self.pending_acks:
                self.pending_acks[pid] = refusal or True
            elif self.on_puback:
                self.on_puback(pid, refusal)
        return op

    def check_msg(self):
        """Handle one packet if a whole one has arrived; never wait for one. Returns the same as umqtt's."""
        return self._during("message", super().check_msg)

    def wait(self, timeout_ms):
        """Wait up to timeout_ms for data from the server, and handle all of it; return whether any came."""
        self.require_connected()
        for count in range(_MAX_PACKETS):
            self.deadline("message")
            if not self.packets.ready(0 if count else timeout_ms):
                return bool(count)
            self.check_msg()
        return True

    def keep_alive(self):
        """Send PINGREQ if the server has been silent for half the keep alive; return how many ms the next call may
        wait.

        Sending with QoS 0 does not prove that the server is alive, so it does not delay a ping. Raises PeerVanished if
        a PINGRESP is overdue [MQTT-3.1.2-24], which umqtt does not notice.
        """
        self.require_connected()
        now = self.ticks()
        # With the half before the ping, a dead peer is noticed within 1.5 keep alives.
        most_ms = min(self.timeout_ms, self.keepalive_s * 1000)
        if self.packets.pinged:
            left_ms = most_ms - ticks_diff(now, self._pinged_at)
            if left_ms <= 0:
                raise errors.timeout_error(errors.PeerVanished, "PINGRESP", most_ms // 1000)
            return left_ms
        left_ms = self.keepalive_s * 500 - ticks_diff(now, self.last_received_ms)
        if left_ms > 0:
            return left_ms
        self.ping()
        return most_ms

    def ping(self):
        """Send PINGREQ; `keep_alive` checks that PINGRESP comes."""
        self._during("PINGREQ", super().ping)
        self.last_received_ms = self._pinged_at = self.ticks()
        self.packets.pinged = True

    def disconnect(self):
        """Send DISCONNECT, so that the server drops the will, and close."""
        if self.sock is None:
            return
        self.deadline("DISCONNECT", _GOODBYE_MS)
        try:
            super().disconnect()
        finally:
            self.close()

    def close(self):
        """Close without DISCONNECT, so that the server sends the will. Closing twice does nothing."""
        self.sock = None
        self.packets.close()


def _bytes(text):
    return text.encode() if isinstance(text, str) else text
