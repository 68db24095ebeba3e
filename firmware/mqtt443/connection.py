"""Opens connections: TCP, TLS over it (always verified), the WebSocket, CONNECT and SUBSCRIBE.

Imported on demand for each attempt. What the connection carries afterwards is up to `stream`, `websocket`, `packets`.
"""

import socket

from . import errors
from ._port import Channel, const, phase, ticks_add, ticks_diff, ticks_ms
from ._tls import selected_alpn, set_alpn, tls_context
from .packets import packet
from .stream import Stream

_ALPN = "mqtt"
_SUBACK = const(0x90)
_SUBACK_FAILURE = const(0x80)
_UNSUBACK = const(0xB0)


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
            # A deadline on the raw socket is right here only: once it hits a TLS socket, that one is dead.
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

    The handshake has not begun: it runs inside the first write, under that write's deadline.
    """
    try:
        # Blocking while it is wrapped: wrapping a non-blocking socket looks connected at once.
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
        packets.write(_connect_packet(client, clean_session))
        client.transport.check(stream)
        client.deadline("CONNACK")  # 10 s at least (config): the authorizer alone may use 5
        connack = packets.read(4)
    except errors.ConnectionLost as e:
        raise errors.ClosedBeforeConnack("closed before CONNACK (%s)" % e.args[0])
    except errors.Timeout as e:
        if e.phase != "CONNACK":
            raise
        raise errors.timeout_error(errors.ConnackTimeout, "CONNACK", client.timeout_ms // 1000)
    if connack[3]:
        raise errors.ConnectRefused("CONNACK with code %d" % connack[3], code=connack[3])
    client.sock = packets
    client.last_received_ms = client.ticks()
    client.pending_acks.clear()
    return bool(connack[2])


def _connect_packet(client, clean_session):
    """Return CONNECT for client (MQTT 3.1.1 section 3.1). AWS accepts a user name without a password."""
    will, user, password, keep_alive_s = client.lw_topic, client.user, client.pswd, client.keepalive
    if user is None and password is not None:
        user = b""  # [MQTT-3.1.2-22]: no password without a user name
    flags = clean_session << 1 | (user is not None) << 7 | (password is not None) << 6
    if will:
        flags |= 4 | client.lw_qos << 3 | client.lw_retain << 5
    head = b"\0\4MQTT\4" + bytes((flags, keep_alive_s >> 8, keep_alive_s & 0xFF))
    return packet(0x10, head, (client.client_id, will, will and client.lw_msg, user, password))


def subscribe(client, topic, qos):
    """Send SUBSCRIBE (MQTT 3.1.1 section 3.8) and wait for SUBACK, as `Client.subscribe` says."""
    pid = client.next_pid()
    client.packets.write(packet(0x82, pid.to_bytes(2, "big"), (topic,), bytes((qos,))))
    code = _await(client, _SUBACK, 4, pid)[3]
    if code == _SUBACK_FAILURE:
        raise errors.SubscribeRefused("SUBACK refused the filter")
    return code


def unsubscribe(client, topic):
    """Send UNSUBSCRIBE (MQTT 3.1.1 section 3.10) and wait for UNSUBACK, as `Client.unsubscribe` says."""
    pid = client.next_pid()
    client.packets.write(packet(0xA2, pid.to_bytes(2, "big"), (topic,)))
    _await(client, _UNSUBACK, 3, pid)


def _await(client, first, size, pid):
    """Handle packets until the one with that first byte and packet identifier; return its rest, size bytes."""
    client.last_received_ms = client.ticks()
    while True:
        if client.wait_msg() == first:
            answer = client.packets.read(size)
            if answer[1] << 8 | answer[2] == pid:
                return answer
