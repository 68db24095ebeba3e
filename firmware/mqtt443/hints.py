"""What each error most likely means and what to do next; imported only when an error is shown.

AWS IoT Core closes MQTT 3.1.1 connections without a reason, so these lists are all that a user at the board gets; MQTT
5 has reason codes. The lists are short because the board stores them.
"""

# One text, because rows of a dict cost more. A line holds the error, or its code, then its text; @ is _LOG, ~ is _ALPN.
# 1 to 5 are return codes of CONNACK (MQTT 3.1.1 table 3.1; 5 stands for higher ones too, such as the 7 that AWS once
# used), 0x.. are reason codes of MQTT 5.
_CAUSES = """
ClockError Let UDP 123 through, or set ntp_server to one that answers
OutOfMemory Free memory, close sockets
WifiError Check wifi.ssid, wifi.password, distance; 2.4 GHz only
DnsError Check endpoint and the network's DNS
ConnectFailed Check endpoint, port, and firewalls (TCP 443)
Timeout The network is slow or loses packets; the limit is timeout_s
HandshakeTimeout Does a firewall hold TLS back? Is port a TLS port?
ConnackTimeout Likely: ~, or a slow authorizer@
PeerVanished Wi-Fi, a router or the server is gone without a word
ConnectionLost Likely: policy lacks iot:Publish, Subscribe or Receive on a topic; another device has this client_id; \
disconnectAfterInSeconds has passed; the network@
TlsError Likely: the server does not know endpoint (SNI), refuses ALPN mqtt, or port is not TLS
NoAlpn Ways out: firmware/image, transport wss, or transport tls with a CUSTOM_AUTH + SECURE_MQTT domain configuration
WrongCa ca must hold Amazon Root CA 1 and 3, or ca.pem of mqtt443 local; if it does, this is not your endpoint
WrongHost endpoint must be the name that AWS gives (iot:Data-ATS) or your domain
CertificateExpired If that time is right, the certificate is too old
WebSocketError Is a proxy in between? Else use transport alpn or tls
MalformedPacket Is this an MQTT server? If it speaks only 3.1.1, set mqtt to 3.1.1
ClosedBeforeConnack Likely, in this order: wrong username or password; client_id not of this username; authorizer not \
default (set authorizer), inactive, failing or over 5 s; policy lacks iot:Connect on this client_id; ~@
UpgradeRefused Likely: wrong credentials (401, 403), no WebSocket here (400, 404, 426), busy (429, 5xx)@
SubscribeRefused Policy lacks iot:Subscribe on this filter, or there are over 50
PublishRefused Policy lacks iot:Publish on topic; the reading is lost@
1 It does not speak MQTT 3.1.1
2 It does not accept this client_id
3 It or its authorizer is down
4 Check username and password
5 Check username, password, client_id, authorizer, and iot:Connect in its policy
0x87 Policy lacks iot:Publish, Subscribe or Receive on a topic@
0x8e Give each board its own client_id
0x95 It takes only smaller messages
0x96 Raise interval_s
0x97 A quota of AWS IoT Core is used up
0x9f Too many connections at once, or more than one a second with this client_id
"""
# For CONNACK: reason code -> the equivalent return code of MQTT 3.1.1.
_AS_311 = {0x84: 1, 0x85: 2, 0x86: 4, 0x87: 5, 0x88: 3, 0x89: 3}
_LOG = ". The authorizer's log (CloudWatch, mqtt443 local) says which"
_ALPN = "no ALPN mqtt (transport tls needs a domain configuration)"


def explain(error):
    """Return what happened, followed by the most likely cause; error is an Mqtt443Error."""
    what = str(error.args[0])
    code = error.code
    row = type(error).__name__
    if row == "ConnectRefused":
        row = _AS_311.get(code, code and (min(code, 5) if code < 0x80 else "0x%02x" % code))
    elif code is not None and not (code == 0x87 and row != "ConnectionLost"):
        row = "0x%02x" % code
    row = "\n%s " % row
    start = _CAUSES.find(row)
    if start < 0:
        return what
    start += len(row)
    hint = _CAUSES[start : _CAUSES.find("\n", start)]
    return what + ". " + hint.replace("~", _ALPN).replace("@", _LOG)
