"""Every MQTT packet, out and in: built, checked, and passed to umqtt, which takes `Packets` for its socket.

umqtt writes a packet in up to eight pieces; each would be a TLS record and, with Nagle, a wait. Here a packet leaves in
one write, a backlog of PUBLISH packets in few. umqtt reads with asserts, which frozen builds drop; here a packet is
read whole and checked before umqtt sees its first byte. umqtt knows only MQTT 3.1.1: with MQTT 5, `packets5` puts
properties into what the board sends and cuts them from what umqtt reads. umqtt and `client` know what a packet means.
"""

from . import errors
from ._port import const

_CONNACK = const(0x20)
_PUBLISH = const(0x30)
_PUBACK = const(0x40)
_PINGRESP = const(0xD0)

# First byte -> remaining length, in MQTT 5 the least; 0x90 is SUBACK, for our single filter, 0xB0 is UNSUBACK.
_FIXED = {_CONNACK: 2, _PUBACK: 2, 0x90: 3, 0xB0: 2, _PINGRESP: 0}

# Free bytes in front of what is sent, where a WebSocket puts its frame's header (RFC 6455 section 5.2).
ROOM = const(14)
_OUT_BYTES = const(256)
# PUBLISH packets are packed up to here: with a frame's header still one TLS record of an ESP32 (4 KiB).
_FULL = const(4088)
# AWS sends at most 128 KB of payload (General Reference, "AWS IoT Core endpoints and quotas"); topic and ids more.
_MAX_REMAINING = const(132096)


class Packets:
    """The packet filter between umqtt and a stream. One object and its buffers serve all connections in turn.

    max_bytes: the largest PUBLISH accepted, 512 or more; a larger one is read, acknowledged, thrown away, and counted
    in `discarded`. topic: bytes, the topic to send as an alias if the server takes one (MQTT 5, section 3.3.2.3.4).
    """

    def __init__(self, max_bytes, topic=b""):
        self.topic = topic
        self._in = bytearray(max_bytes)
        self.view = memoryview(self._in)  # made once: a packet allocates only slices of it
        self._out = bytearray(ROOM + _OUT_BYTES)
        self.discarded = 0
        self.attach(None)

    def attach(self, stream, mqtt5=None):
        """Begin a new connection on stream; mqtt5: the module `packets5` to speak MQTT 5, None to speak 3.1.1."""
        self.stream = stream
        self.mqtt5 = mqtt5
        self.alias = 0  # 0: the server takes no topic alias, 1: it does, 2: it knows ours
        self.refusal = None  # of the last PUBACK: a PublishRefused, or None
        self._out_have = ROOM
        self.connected = False
        self.pinged = False  # a PINGRESP is pending; the client sets it, the PINGRESP clears it
        self._restart()

    def _restart(self):
        # Of the packet being read: bytes read, whole size (0: not known yet), where its body begins.
        self.have = 0
        self.size = 0
        self._body = 0
        # Of a whole packet: bytes umqtt may read, and has read.
        self.limit = 0
        self._at = 0
        self._oversize_pid = 0  # packet identifier of a PUBLISH that is too large to keep

    def deadline(self, timeout_ms, phase):
        """Pass the deadline on to the stream."""
        self.stream.deadline(timeout_ms, phase)

    def setblocking(self, on):
        """Whether `read` waits for a packet; umqtt switches it around each packet."""
        self.stream.setblocking(on)

    def ready(self, timeout_ms):
        """Wait up to timeout_ms for a packet; return whether a whole one is there."""
        self.stream.setblocking(False)
        return self._fill() or (self.stream.poll(timeout_ms) and self._fill())

    def write(self, buf, n=None):
        """Take the next piece of a packet (buf or its first n bytes); send the packet once it is whole."""
        if n is None:
            n = len(buf)
        have = self._out_have
        self._make_room(have + n)
        self._out[have : have + n] = memoryview(buf)[:n] if n < len(buf) else buf
        self._out_have = have = have + n
        size = _packet_size(self._out, ROOM, have)
        if size:
            self._make_room(ROOM + size)  # once for the packet, not once a piece
            if have > ROOM + size:
                raise ValueError("more than one packet in one write")
            if have == ROOM + size:
                self.flush()

    def publish(self, first, topic, msg, pid, expiry_s=0):
        """Queue one PUBLISH (MQTT section 3.3); it leaves with the next `flush`, or when a TLS record is full.

        first: its first byte. topic, msg: bytes. pid: packet identifier, 0 for none. expiry_s: how many seconds the
        server may keep it for others, 0 for no limit; only MQTT 5 sends it.
        """
        alias = self.alias if topic == self.topic else 0
        if alias == 2:
            topic = b""
        properties = self.mqtt5.properties(alias, expiry_s) if self.mqtt5 else b""
        n = len(topic)
        size = 2 + n + (2 if pid else 0) + len(properties) + len(msg)
        if self._out_have + size + 5 > ROOM + _FULL:
            self.flush()
        try:
            self._make_room(self._out_have + size + 5)
        except MemoryError:  # `reserve` made room for a message alone
            self.flush()
            self._make_room(ROOM + size + 5)
        at = self._out_have
        out = self._out
        out[at] = first
        while size > 0x7F:
            at += 1
            out[at] = size & 0x7F | 0x80
            size >>= 7
        out[at + 1] = size
        out[at + 2] = n >> 8
        out[at + 3] = n & 0xFF
        at += 4
        out[at : at + n] = topic
        at += n
        if pid:
            out[at] = pid >> 8
            out[at + 1] = pid & 0xFF
            at += 2
        out[at : at + len(properties)] = properties
        at += len(properties)
        self._out_have = at + len(msg)
        out[at : self._out_have] = msg
        if alias:
            self.alias = 2

    def reserve(self, size):
        """Make room to send a PUBLISH whose topic and payload have size bytes. Raises MemoryError."""
        self._make_room(ROOM + size + 18)  # its header, packet identifier and properties

    def flush(self):
        """Send what is queued, in one write."""
        have = self._out_have
        if have > ROOM:
            self._out_have = ROOM
            self.stream.send(self._out, ROOM, have)

    def discard_output(self):
        """Throw away what is queued and not sent."""
        self._out_have = ROOM
        self.alias = min(self.alias, 1)  # the packet that introduced it may be among them

    def _make_room(self, size):
        out = self._out
        if size > len(out):
            # Twice as much where that is not out of proportion, so that a backlog does not grow it packet by packet.
            self._out = bytearray(max(size, min(2 * len(out), ROOM + _FULL)))
            self._out[: len(out)] = out

    def read(self, n):
        """Return exactly n bytes of the packet that umqtt is reading, or None if not blocking and none is whole.

        Raises MalformedPacket for what a server may not send, and what the stream raises.
        """
        # umqtt asks for 0 bytes of an empty payload: it must not wait for them, because the next packet may take long.
        if n and self._at == self.limit and not self._fill():
            return None
        at = self._at
        if at + n > self.limit:
            raise errors.MalformedPacket("a packet is too short")
        self._at = at + n
        return bytes(self.view[at : at + n])

    def body(self):
        """Return what follows the length of the packet that umqtt reads; valid until the next packet is read."""
        return self.view[self._body : self.size]

    def skip(self):
        """Drop what umqtt left of its packet."""
        if self._at:
            self._restart()

    def _fill(self):
        """Read until one packet for umqtt is whole and checked; return False if not blocking and it is not."""
        if self._at:
            self._restart()
        while True:
            if not self.size:
                if not self._read_header():
                    return False
            elif self.have < min(self.size, len(self._in)):
                n = self.stream.readinto(self.view[self.have : min(self.size, len(self._in))])
                if not n:
                    return False
                self.have += n
            elif self.size > len(self._in):
                if not self._drain():
                    return False
            else:
                self._check()
                self.limit = self.size
                return True

    def _read_header(self):
        # Byte by byte: the length says where the packet ends, and a byte more may not have come yet.
        n = self.stream.readinto(self.view[self.have : self.have + 1])
        if not n:
            return False
        self.have += 1
        self.size = _packet_size(self._in, 0, self.have)
        if self.size:
            first = self._in[0]
            remaining = self.size - self.have
            self._body = self.have
            if self.have > 2 and not self._in[self.have - 1]:
                raise errors.MalformedPacket("length in more bytes than it needs")  # [MQTT-1.5.5-1]
            if not self.connected and first != _CONNACK:
                raise errors.MalformedPacket("the first packet is not CONNACK")  # [MQTT-3.2.0-1]
            if first & 0xF0 == _PUBLISH:
                if first & 6 not in (0, 2):  # QoS 2 was never asked for, 3 is forbidden [MQTT-3.3.1-4]
                    raise errors.MalformedPacket("PUBLISH with QoS %d" % (first >> 1 & 3))
                if remaining > _MAX_REMAINING:
                    raise errors.MalformedPacket("PUBLISH of %d bytes" % remaining)
            elif (first == _CONNACK and self.connected) or not self._fits(first, remaining):
                raise errors.MalformedPacket("packet type 0x%02x with length %d" % (first, remaining))
        return True

    def _fits(self, first, remaining):
        least = _FIXED.get(first)
        if not self.mqtt5:
            return least == remaining
        # No packet may exceed the Maximum Packet Size of our CONNECT [MQTT-3.1.2-24].
        return self.mqtt5.fits(first, least, remaining, len(self._in) - self.have)

    def _check(self):
        body = self._body
        first = self._in[0]
        if first & 0xF0 == _PUBLISH:
            self._packet_identifier()
            if self.mqtt5:
                self.size = self.mqtt5.cut_properties(self.view[: self.size], body)
        elif first == _PINGRESP:
            self.pinged = False
        else:
            self.connected = True  # `connection` checks CONNACK
            if self.mqtt5:
                self.refusal = self.mqtt5.check(first, self.view, body, self.size)

    def _packet_identifier(self):
        """Return the packet identifier of the PUBLISH in the buffer, 0 with QoS 0; check its layout."""
        body = self._body
        end = min(self.size, len(self._in))
        qos = self._in[0] & 6
        topic_end = body + 2 + (self._in[body] << 8 | self._in[body + 1]) if end >= body + 2 else end + 1
        if topic_end + (2 if qos else 0) > end or topic_end == body + 2:
            raise errors.MalformedPacket("PUBLISH without room for its topic")  # [MQTT-3.3.2-1], [MQTT-4.7.3-1]
        if not qos:
            return 0
        identifier = self._in[topic_end] << 8 | self._in[topic_end + 1]
        if not identifier:
            raise errors.MalformedPacket("PUBLISH with packet identifier 0")  # [MQTT-2.3.1-1]
        return identifier

    def _drain(self):
        """Read the rest of a PUBLISH larger than the buffer; return False if not blocking and more must come."""
        if self.have == len(self._in):  # before the first byte is overwritten
            self._oversize_pid = self._packet_identifier()
        while self.have < self.size:
            n = self.stream.readinto(self.view[: self.size - self.have])
            if not n:
                return False
            self.have += n
        identifier = self._oversize_pid
        self._restart()
        self.discarded += 1
        if identifier:
            # Acknowledge it all the same: otherwise it comes again after each reconnect [MQTT-4.4.0-1].
            self.write(bytes((_PUBACK, 2, identifier >> 8, identifier & 0xFF)))
        return True

    def close(self):
        """Close the stream; closing twice does nothing."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None


def _packet_size(buf, at, end):
    """Return the size of the packet that begins at buf[at]; 0 if the length is not whole at end.

    Raises MalformedPacket for a length of over four bytes (MQTT 3.1.1 section 2.2.3).
    """
    size = 0
    for i in range(1, 5):
        if at + i >= end:
            return 0
        size |= (buf[at + i] & 0x7F) << (7 * (i - 1))
        if not buf[at + i] & 0x80:
            return size + i + 1
    raise errors.MalformedPacket("remaining length over four bytes")
