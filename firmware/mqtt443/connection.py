"""Opens connections: TCP, TLS over it (always verified), the WebSocket, CONNECT and SUBSCRIBE.

Imported on demand for each attempt. `stream`, `websocket` and `packets` carry the traffic afterwards.
"""

import gc
import socket

from . import errors
from ._port import Channel, const, phase, ticks_add, ticks_diff, ticks_ms
from ._tls import selected_alpn, set_alpn, tls_context
from .stream import Stream

_ALPN = const("mqtt")
_SUBACK = const(0x90)
_SUBACK_FAILURE = const(0x80)
_UNSUBACK = const(0xB0)
# Properties of CONNACK in MQTT 5.
_CLIENT_ID = const(0x12)
_SERVER_KEEP_ALIVE = const(0x13)
_RECEIVE_MAXIMUM = const(0x21)
_ALIAS_MAXIMUM = const(0x22)
_MAXIMUM_QOS = const(0x24)
_RETAIN_AVAILABLE = const(0x25)
_PACKET_SIZE = const(0x27)


def choose(wanted, alpn):
    """Return (transport, why) for the `transport` key wanted; alpn: whether ALPN can be sent here.

    Raises NoAlpn if `alpn` is wanted and impossible.
    """
    if wanted != "auto":
        if wanted == "alpn" and not alpn:
            raise errors.NoAlpn("transport alpn: this image cannot send ALPN (stock MicroPython)")
        return wanted, "as config.json says"
    if alpn:
        return "alpn", "this image can send ALPN mqtt"
    return "wss", "this image has no ALPN (stock MicroPython); MQTT over WebSocket needs none"


def new_context(path, alpn=False):
    """Return a TLS context that trusts the certificates in the CA file at path, and offers ALPN mqtt if alpn.

    Raises ConfigError for an unusable file.
    """
    try:
        with phase():
            from .ca import load

            certificates = load(path)
        try:
            context = tls_context(certificates)
        except (OSError, ValueError) as e:
            raise errors.ConfigError("ca: TLS does not take %s (%s)" % (path, e))
    except MemoryError:
        raise errors.ConfigError("ca: %s does not fit into memory; keep only the roots of your endpoint" % path)
    if alpn:
        set_alpn(context, [_ALPN])
    return context


def connect_tcp(host, port, timeout_ms, sockets=socket, ticks=ticks_ms):
    """Return a connected blocking socket to host: each address in turn, within timeout_ms in all.

    sockets, ticks: seams. Raises DnsError, ConnectFailed. No port can put a deadline on name resolution itself.
    """
    try:
        addresses = sockets.getaddrinfo(host, port, 0, sockets.SOCK_STREAM)
    except OSError as e:
        raise errors.DnsError("no address for %s (%s)" % (host, e))
    end = ticks_add(ticks(), timeout_ms)
    reason = "no address"
    for i, address in enumerate(addresses):
        left_ms = ticks_diff(end, ticks()) // (len(addresses) - i)
        sock = sockets.socket(address[0], address[1], address[2])
        try:
            # Only here may the raw socket have a deadline: one that passes under TLS breaks the TLS socket.
            sock.settimeout(max(left_ms, 1) / 1000)
            sock.connect(address[-1])
            return sock
        except OSError as e:
            with phase():
                from .tls_errors import errno_name

                sock.close()
                reason = errno_name(e)
    raise errors.ConnectFailed("no TCP connection to %s:%d (%s)" % (host, port, reason))


def wrap_tls(sock, context, host):
    """Return a Channel with TLS over the connected socket sock; SNI and the name to verify are host.

    The handshake runs later, inside the first write and under its deadline.
    """
    try:
        # Blocking while it is wrapped: a non-blocking socket would look connected at once.
        return Channel(context.wrap_socket(sock, do_handshake_on_connect=False, server_hostname=host), sock)
    except (OSError, ValueError, MemoryError) as e:
        sock.close()
        with phase():
            from .tls_errors import fault

            raise fault(e, host, True)


def open_tls(transport, context):
    """Return a Stream over TLS for a `Transport`, whose handshake is done by its first write."""
    timeout_ms = transport.timeout_ms
    sock = (transport.connect or connect_tcp)(transport.host, transport.port, timeout_ms)
    stream = Stream(wrap_tls(sock, context, transport.host), transport.host)
    stream.deadline(timeout_ms, "the TLS handshake")
    return stream


def open_mqtt(transport):
    """Return a stream for MQTT packets: TLS, and for wss the upgrade; as `Transport.open` says."""
    stream = open_tls(transport, transport.context)
    if transport.name != "wss":
        return stream
    from .websocket import WebSocket

    try:
        stream.deadline(transport.timeout_ms, "the WebSocket upgrade")
        with phase():
            from .ws_handshake import upgrade

            upgrade(stream, transport.host, transport.port)
        return WebSocket(stream)
    except Exception:
        stream.close()
        raise


def check_alpn(stream, host):
    """Raise NoAlpn if ALPN was sent on stream and the server picked no protocol; call it after the first write."""
    # Such a server completes the handshake, but does not understand MQTT.
    if selected_alpn(stream.tls_socket()) != _ALPN:
        raise errors.NoAlpn("%s picked no ALPN protocol, so it will not speak MQTT" % host)


def connect(client, clean_session):
    """Open the transport of client, a `Client`; send CONNECT and wait for CONNACK, as `Client.connect` says."""
    packets = client.packets
    try:
        stream = client.transport.open()
        packets5 = None
        if client.mqtt5:
            from . import packets5
        packets.attach(stream, packets5)
        packets.write(_connect_packet(client, clean_session))
        client.transport.check(stream)
        client.deadline("CONNACK")  # 10 s at least (config): the authorizer alone may use 5
        packets.read(1)
    except errors.ConnectionLost as e:
        raise errors.ClosedBeforeConnack("closed before CONNACK (%s)" % e.args[0])
    except errors.Timeout as e:
        if e.phase != "CONNACK":
            raise
        raise errors.timeout_error(errors.ConnackTimeout, "CONNACK", client.timeout_ms // 1000)
    session = _connack(client, packets.body())
    if session is None:
        client.close()
        client.mqtt5 = False
        client.notice = ", MQTT 3.1.1: the server does not speak 5"
        gc.collect()
        return connect(client, clean_session)
    client.sock = packets
    client.last_received_ms = client.ticks()
    client.pending_acks.clear()
    return session


def _connack(client, data):
    """Return whether the CONNACK in data reports a session; None if the server does not speak MQTT 5."""
    if client.mqtt5:
        with phase():
            from .mqtt5 import connack

            answer = connack(data)
        if answer is None:
            return None
        session, values = answer
    else:
        session, values = bool(data[0]), {}
        if data[0] > (0 if data[1] else 1):  # the only flag, and never set with a refusal [MQTT-3.2.2-4]
            raise errors.MalformedPacket("CONNACK flags 0x%02x" % data[0])
        if data[1]:
            raise errors.ConnectRefused("CONNACK with code %d" % data[1], code=data[1])
    # What the server allows (MQTT 5 section 3.2.2.3).
    client.keepalive_s = values.get(_SERVER_KEEP_ALIVE) or client.keepalive  # [MQTT-3.2.2-21]
    client.receive_maximum = values.get(_RECEIVE_MAXIMUM, 65535)  # [MQTT-3.3.4-9]
    client.max_qos = values.get(_MAXIMUM_QOS, 1)  # [MQTT-3.2.2-11]
    client.retain_available = values.get(_RETAIN_AVAILABLE, 1)  # [MQTT-3.2.2-14]
    client.max_packet_bytes = values.get(_PACKET_SIZE, 1 << 28)  # [MQTT-3.2.2-15]
    client.packets.alias = 1 if values.get(_ALIAS_MAXIMUM) else 0  # [MQTT-3.2.2-18]
    if not client.client_id:
        client.client_id = values.get(_CLIENT_ID, b"")
    return session


def _connect_packet(client, clean_session):
    """Return the CONNECT packet for client (MQTT section 3.1). AWS accepts a user name without a password."""
    will, user, password, keep_alive_s = client.lw_topic, client.user, client.pswd, client.keepalive
    if user is None and password is not None:
        user = b""  # [MQTT-3.1.2-22]: no password without a user name
    flags = clean_session << 1 | (user is not None) << 7 | (password is not None) << 6
    if will:
        flags |= 4 | client.lw_qos << 3 | client.lw_retain << 5
    head = b"\0\4MQTT" + bytes((5 if client.mqtt5 else 4, flags, keep_alive_s >> 8, keep_alive_s & 0xFF))
    if client.mqtt5:
        with phase():
            from .mqtt5 import connect_properties

            head += connect_properties(client, clean_session)
    head += len(client.client_id).to_bytes(2, "big") + client.client_id
    if will and client.mqtt5:
        head += b"\0"  # no properties of the will
    return packet(0x10, head, (will, will and client.lw_msg, user, password))


def packet(first, head, fields=(), tail=b""):
    """Return a control packet (MQTT 3.1.1 section 2): first byte, remaining length, head, fields, tail.

    fields: bytes, each sent with its two-byte length (section 1.5.3); None is left out.
    """
    body = bytearray(head)
    for field in fields:
        if field is not None:
            body.extend(len(field).to_bytes(2, "big"))
            body.extend(field)
    body.extend(tail)
    size = len(body)
    head = bytearray((first,))
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return head + body


def subscribe(client, topic, qos):
    """Send SUBSCRIBE (MQTT section 3.8) and wait for SUBACK, as `Client.subscribe` says."""
    code = _request(client, 0x82, topic, bytes((qos,)), _SUBACK)
    if code == _SUBACK_FAILURE:
        raise errors.SubscribeRefused("SUBACK refused the filter")
    return code


def unsubscribe(client, topic):
    """Send UNSUBSCRIBE (MQTT section 3.10) and wait for UNSUBACK, as `Client.unsubscribe` says."""
    _request(client, 0xA2, topic, b"", _UNSUBACK)


def _request(client, first, topic, tail, answer):
    """Send SUBSCRIBE or UNSUBSCRIBE, handle packets until its answer comes, and return the code in it, if any.

    first, tail: of the packet, around its topic. answer: first byte of the answer.
    """
    pid = client.next_pid()
    head = pid.to_bytes(2, "big") + (b"\0" if client.mqtt5 else b"")  # no properties
    client.packets.write(packet(first, head, (topic,), tail))
    client.last_received_ms = client.ticks()
    while True:
        if client.wait_msg() == answer:
            data = client.packets.body()
            if data[0] << 8 | data[1] == pid:
                break
    if client.mqtt5:
        with phase():
            from .mqtt5 import suback

            return suback(data)
    return data[2] if answer == _SUBACK else None
