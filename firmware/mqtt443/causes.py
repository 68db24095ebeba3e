"""What each error most likely means and what to do next; loaded only when an error is shown.

AWS IoT Core closes MQTT 3.1.1 connections without a reason (facts: MQTTnet #1729, js-v2 #101), so these lists are
all that a person in front of the board gets. They are kept here, in one place, and short: a board stores them.
"""

_LOG = " The authorizer's log (CloudWatch, or mqtt443 local) tells which."

_CAUSES = {
    "ClockError": "Certificates cannot be checked without the right time: let UDP 123 through to an NTP server, "
    "or name one that answers in ntp_server",
    "OutOfMemory": "Close other sockets, free memory before connecting, or take a board with PSRAM",
    "WifiError": "Check wifi.ssid and wifi.password, the distance, and that the network has 2.4 GHz",
    "DnsError": "Check endpoint for a typing mistake, and that this network has a DNS server and a way out",
    "ConnectFailed": "Check endpoint and port, and that a firewall lets TCP 443 through",
    "Timeout": "The network is slow or drops packets; timeout_s in config.json sets the limit",
    "HandshakeTimeout": "A firewall or proxy may hold TLS back, or port is not a TLS port",
    "ConnackTimeout": "Likely: the authorizer took too long; transport tls or a proxy in a place that does not "
    "speak MQTT (AWS wants ALPN mqtt on 443)." + _LOG,
    "PeerVanished": "The link is half open: Wi-Fi roamed, a router forgot the connection, or the server died",
    "ConnectionLost": "Likely: the policy lacks iot:Publish, iot:Subscribe or iot:Receive on a topic in use (AWS "
    "closes then); another device uses this client_id; disconnectAfterInSeconds is over; the network." + _LOG,
    "TlsError": "Likely: endpoint is not a name that this server knows (SNI), ALPN was refused, or port is not TLS",
    "NoAlpn": "MQTT on 443 needs ALPN mqtt. Ways out: the mqtt443 image (firmware/image), transport wss, or "
    "transport tls with a domain configuration CUSTOM_AUTH + SECURE_MQTT",
    "WrongCa": "The ca file lacks the root of this server: Amazon Root CA 1 and 3 for AWS, ca.pem of the state "
    "folder for mqtt443 local. If the file is right, this is not your endpoint",
    "WrongHost": "endpoint must be the full name from AWS (describe-endpoint iot:Data-ATS) or of your domain "
    "configuration, never an IP address",
    "CertificateExpired": "Either the clock is ahead or the server's certificate is old; compare that date with a "
    "watch",
    "WebSocketError": "Is this endpoint a WebSocket server for MQTT at /mqtt?",
    "MalformedPacket": "Is this endpoint an MQTT 3.1.1 server? If it is AWS, please report this",
    "ClosedBeforeConnack": "AWS gives no reason. Likely, in this order: wrong username or password; client_id not "
    "registered for this username; no default authorizer (then set authorizer); authorizer inactive, failing or "
    "over 5 s; its policy too small (no iot:Connect on this client_id); with transport tls: no ALPN, and endpoint "
    "is no CUSTOM_AUTH + SECURE_MQTT domain." + _LOG,
    "UpgradeRefused": "Likely: wrong username, password or authorizer (401, 403), endpoint or proxy without "
    "WebSocket (400, 404, 405, 426), AWS busy (429, 5xx)." + _LOG,
    "SubscribeRefused": "The policy lacks iot:Subscribe on this filter, or there are over 50 subscriptions",
}

# Return codes of CONNACK, MQTT 3.1.1 table 3.1; 7 is not in it, but AWS used it once for "not authorized".
_CONNACK = {
    1: "The server does not speak MQTT 3.1.1",
    2: "The server does not take this client_id",
    3: "The server is busy or its authorizer is down; it will be tried again",
    4: "Check username and password",
}
_NOT_AUTHORIZED = "Check username, password, client_id, the authorizer, and iot:Connect in its policy"


def explain(error):
    """Return what happened, and after a full stop what it most likely means; error is an Mqtt443Error."""
    what = str(error.args[0]) if error.args else type(error).__name__
    code = getattr(error, "code", None)
    hint = _CAUSES.get(type(error).__name__, "") if code is None else _CONNACK.get(code, _NOT_AUTHORIZED)
    return what + ". " + hint if hint else what
