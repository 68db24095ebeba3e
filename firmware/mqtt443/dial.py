"""Opens connections: TCP, TLS over it, verified always, the WebSocket, and the first packet on it.

Loaded for each attempt, then forgotten. What the connection then carries is for `stream`, `websocket`, `packets`.
"""

import socket

from . import errors
from ._port import Channel, const, forget, ticks_add, ticks_diff, ticks_ms
from ._tls import selected_alpn, set_alpn, tls_context
from .stream import Stream

_ALPN = "mqtt"
_SUBACK = const(0x90)
_SUBACK_FAILURE = const(0x80)


def choose(wanted, alpn_here):
    """Return (transport, why) for the `transport` key wanted; alpn_here: whether ALPN can be sent here.

    Raises NoAlpn if `alpn` is wanted and impossible.
    """
    if wanted != "auto":
        if wanted == "alpn" and not alpn_here:
            raise errors.NoAlpn("transport alpn: this image cannot send ALPN (stock MicroPython)")
        return wanted, "as config.json says"
    if alpn_here:
        return "alpn", "this image can send ALPN mqtt"
    return "wss", "this image has no ALPN (stock MicroPython); MQTT over WebSocket needs none"


def new_context(path, alpn=False):
    """Return a TLS context that trusts the certificates in the CA file at path, and offers ALPN mqtt if alpn.

    Raises ConfigError for an unusable file.
    """
    from .ca import load

    certificates = load(path)
    forget("ca")
    try:
        context = tls_context(certificates)
    except (OSError, ValueError) as e:
        raise errors.ConfigError("ca: TLS does not take %s (%s)" % (path, e))
    if alpn:
        set_alpn(context, [_ALPN])
    return context


def connect_tcp(host, port, timeout_ms, sockets=socket):
    """Return a connected blocking socket to host: each address in turn, within timeout_ms in all.

    Raises DnsError, ConnectFailed. Name resolution itself cannot be bounded on any port.
    """
    try:
        addresses = sockets.getaddrinfo(host, port, 0, sockets.SOCK_STREAM)
    except OSError as e:
        raise errors.DnsError("no address for %s (%s)" % (host, e))
    end = ticks_add(ticks_ms(), timeout_ms)
    reason = "no address"
    for i, address in enumerate(addresses):
        left_ms = ticks_diff(end, ticks_ms()) // (len(addresses) - i)
        sock = sockets.socket(address[0], address[1], address[2])
        try:
            # A deadline on the raw socket is right here only: once it hits a TLS socket, that one is dead.
            sock.settimeout(max(left_ms, 1) / 1000)
            sock.connect(address[-1])
            return sock
        except OSError as e:
            from .faults import errno_name

            sock.close()
            reason = errno_name(e)
    raise errors.ConnectFailed("no TCP connection to %s:%d (%s)" % (host, port, reason))


def wrap_tls(sock, context, host):
    """Return a Channel with TLS over the connected socket sock; SNI and the name to verify are host.

    The handshake has not begun: it runs inside the first write, under that write's deadline.
    """
    try:
        # Blocking while it is wrapped: wrapping a non-blocking socket looks connected at once.
        return Channel(context.wrap_socket(sock, do_handshake_on_connect=False, server_hostname=host), sock)
    except (OSError, ValueError, MemoryError) as e:
        from .faults import fault

        sock.close()
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
    from .upgrade import upgrade
    from .websocket import WebSocket

    try:
        stream.deadline(transport.timeout_ms, "the WebSocket upgrade")
        upgrade(stream, transport.host, transport.port)
        forget("upgrade", "http")
        return WebSocket(stream)
    except Exception:
        stream.close()
        raise


def check_alpn(stream, host):
    """Raise NoAlpn if the server picked nothing of the ALPN that was sent on stream; call it after the first write."""
    # Such a server does not break the handshake off, it only never understands MQTT.
    if selected_alpn(stream.tls_socket()) != _ALPN:
        raise errors.NoAlpn("%s picked no ALPN protocol, so it will not speak MQTT" % host)


def connect(client, clean_session):
    """Open the transport of client, a `Client`; send CONNECT and wait for CONNACK, as `Client.connect` says."""
    packets = client.packets
    try:
        stream = client.transport.open()
        packets.attach(stream)
        packets.write(connect_packet(client, clean_session))
        client.transport.check(stream)
        client.deadline("CONNACK")  # 10 s at least (config): the authorizer alone may use 5
        connack = packets.read(4)
    except errors.ConnectionLost as e:
        raise errors.ClosedBeforeConnack("closed before CONNACK (%s)" % e.args[0])
    except errors.Timeout as e:
        if e.phase != "CONNACK":
            raise
        raise errors.late(errors.ConnackTimeout, "CONNACK", client.timeout_ms // 1000)
    if connack[3]:
        raise errors.ConnectRefused("CONNACK with code %d" % connack[3], code=connack[3])
    client.sock = packets
    client.proven = ticks_ms()
    client.awaited.clear()
    return bool(connack[2])


def subscribe(client, topic, qos):
    """Send SUBSCRIBE (MQTT 3.1.1 section 3.8) and wait for SUBACK, as `Client.subscribe` says."""
    identifier = client.next_pid().to_bytes(2, "big")
    body = bytearray(identifier)
    append_field(body, topic)
    body.append(qos)
    client.packets.write(packet(0x82, body))
    client.proven = ticks_ms()
    while True:
        if client.wait_msg() == _SUBACK:
            suback = client.packets.read(4)
            if suback[1:3] == identifier:
                break
    if suback[3] == _SUBACK_FAILURE:
        raise errors.SubscribeRefused("SUBACK refused the filter")
    return suback[3]


def connect_packet(client, clean_session):
    """Return CONNECT for client, a `Client` (MQTT 3.1.1 section 3.1); the password may be absent, as AWS allows."""
    will, user, password = client.lw_topic, client.user, client.pswd
    if user is None and password is not None:
        user = b""  # [MQTT-3.1.2-22]: no password without a user name
    flags = clean_session << 1 | (user is not None) << 7 | (password is not None) << 6
    if will:
        flags |= 4 | client.lw_qos << 3 | client.lw_retain << 5
    keepalive = client.keepalive
    body = bytearray(b"\0\4MQTT\4")
    body.extend(bytes((flags, keepalive >> 8, keepalive & 0xFF)))
    for field in (client.client_id, will, will and client.lw_msg, user, password):
        if field is not None:
            append_field(body, field)
    return packet(0x10, body)


def append_field(body, field):
    """Append field with its two-byte length (MQTT 3.1.1 section 1.5.3)."""
    body.extend(len(field).to_bytes(2, "big"))
    body.extend(field)


def packet(first, body):
    """Return the control packet: first byte, remaining length (section 2.2.3), body."""
    size = len(body)
    head = bytearray((first,))
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return head + body
