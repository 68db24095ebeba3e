"""The classes of `errors`, made one by one. Loaded when one is first asked for, then forgotten."""

# Parent, its children, ! for slow. One text, because 26 classes or a dict of them are kilobytes of heap.
_TREE = (
    "Mqtt443Error ConfigError ClockError OutOfMemory NetworkError TlsError ProtocolError !Refused"
    "/NetworkError WifiError DnsError ConnectFailed Timeout ConnectionLost"
    "/Timeout HandshakeTimeout !ConnackTimeout PeerVanished"
    "/TlsError !NoAlpn !CertificateError"
    "/CertificateError WrongCa WrongHost CertificateExpired"
    "/ProtocolError WebSocketError MalformedPacket"
    "/Refused ClosedBeforeConnack ConnectRefused UpgradeRefused SubscribeRefused"
)


def make(name, made):
    """Return the class name of the tree, made with its bases if they are not in made yet, a dict of classes by name.

    Raises AttributeError for a name that is not in the tree.
    """
    for family in _TREE.split("/"):
        names = family.split(" ")
        slow = "!" + name in names
        if slow or name in names[1:]:
            base = made.get(names[0]) or make(names[0], made)
            made[name] = type(name, (base,), {"slow": True} if slow else {})
            return made[name]
    raise AttributeError(name)
