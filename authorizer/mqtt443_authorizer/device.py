"""A registered device: its fields, the rules for its names and topics, and its JSON form.

Secrets are in secret.py, storage is in store.py, and the policy for its topics in policy.py.
"""

from typing import NamedTuple, TypeVar

from mqtt443_authorizer.errors import DeviceError
from mqtt443_authorizer.secret import DEFAULT_COST, MAX_SECRETS, SCRYPT, ScryptCost, Secret, validate_secret

MAX_CLIENT_ID_BYTES = 128
MAX_USERNAME_BYTES = 128
MAX_TOPIC_BYTES = 256
MAX_TOPIC_SLASHES = 7
MAX_OWN_TOPICS = 50

T = TypeVar("T")


class Device(NamedTuple):
    """One device with one client id, one user name and one or two secrets.

    Attributes:
        client_id: MQTT client id, see `validate_client_id`.
        username: see `validate_username`.
        secrets: the newest first; the second one is the old secret during a rotation.
        enabled: False refuses every login.
        publish: topics that it may publish to, in addition to those of the policy template.
        subscribe: topic filters that it may subscribe to, in addition to those of the policy template.
        version: number of the change; set by the store.
        created_at: Unix seconds.
    """

    client_id: str
    username: str
    secrets: tuple[Secret, ...]
    enabled: bool = True
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    version: int = 1
    created_at: int = 0


def _is_control(char: str) -> bool:
    return char < " " or "\x7f" <= char <= "\x9f"


def _check_text(what: str, text: str, max_bytes: int, forbidden: str) -> None:
    """Reject text that is empty, too long, not UTF-8, or contains control or forbidden characters."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise DeviceError(f"the {what} is not valid UTF-8") from None
    if not 1 <= size <= max_bytes:
        raise DeviceError(f"the {what} has {size} bytes: 1 to {max_bytes} are allowed")
    if any(map(_is_control, text)):
        raise DeviceError(f"the {what} contains a control character: remove it")
    for char in forbidden:
        if char in text:
            raise DeviceError(f"the {what} contains '{char}': none of {' '.join(forbidden)} is allowed")


def validate_client_id(client_id: str) -> None:
    """Check a client id: 1..128 bytes of UTF-8 without characters that are special in policies or topic filters.

    The length comes from "AWS IoT Core endpoints and quotas". `*`, `?` and `$` are wildcards and variables in a policy;
    `+`, `#` and `/` are special in topic filters [MQTT-4.7.1], and the id becomes a level of the device's topics.

    Raises:
        DeviceError: the client id breaks a rule; the text names it.
    """
    _check_text("client id", client_id, MAX_CLIENT_ID_BYTES, "*?+#$/")
    if client_id != client_id.strip():
        raise DeviceError("the client id begins or ends with white space: remove it")


def validate_username(username: str) -> None:
    """Check a user name: 1..128 bytes of UTF-8 without `?`, which separates it from AWS's own parameters.

    A name with a `:` works over MQTT but not in HTTP Basic (RFC 7617 section 2).

    Raises:
        DeviceError: the user name breaks a rule; the text names it.
    """
    _check_text("user name", username, MAX_USERNAME_BYTES, "?")


def validate_publish_topic(topic: str) -> None:
    """Check a topic to publish to: 1..256 bytes, at most 7 slashes, no wildcard of MQTT or of a policy.

    The limits come from "AWS IoT Core endpoints and quotas".

    Raises:
        DeviceError: the topic breaks a rule; the text names it.
    """
    _check_text("topic", topic, MAX_TOPIC_BYTES, "*?$+#")
    _check_slashes(topic)


def validate_subscribe_filter(topic_filter: str) -> None:
    """Check a topic filter: like a topic, but `+` may be a whole level and `#` the last one [MQTT-4.7.1-2, -3].

    Raises:
        DeviceError: the topic filter breaks a rule; the text names it.
    """
    _check_text("topic filter", topic_filter, MAX_TOPIC_BYTES, "*?$")
    _check_slashes(topic_filter)
    levels = topic_filter.split("/")
    if any(("+" in level or "#" in level) and len(level) > 1 for level in levels) or "#" in levels[:-1]:
        raise DeviceError("in a topic filter, + and # must be whole levels, and # must be the last one")


def _check_slashes(topic: str) -> None:
    if topic.count("/") > MAX_TOPIC_SLASHES:
        raise DeviceError(f"a topic has at most {MAX_TOPIC_SLASHES} slashes: '{topic}' has {topic.count('/')}")


def validate_device(device: Device) -> None:
    """Check all fields of a device, whether it is new or comes from a store.

    Raises:
        DeviceError: a field breaks a rule; the text names the first one.
    """
    validate_client_id(device.client_id)
    validate_username(device.username)
    if not 1 <= len(device.secrets) <= MAX_SECRETS:
        raise DeviceError(f"a device has 1 to {MAX_SECRETS} secrets, not {len(device.secrets)}")
    for secret in device.secrets:
        validate_secret(secret)
    if len(device.publish) + len(device.subscribe) > MAX_OWN_TOPICS:
        raise DeviceError(f"a device has at most {MAX_OWN_TOPICS} topics and topic filters of its own")
    for topic in device.publish:
        validate_publish_topic(topic)
    for topic_filter in device.subscribe:
        validate_subscribe_filter(topic_filter)


def to_json(device: Device) -> dict[str, object]:
    """Return the device as a JSON object that `from_json` can read."""
    return {
        **device._asdict(),
        "secrets": [_secret_to_json(secret) for secret in device.secrets],
        "publish": list(device.publish),
        "subscribe": list(device.subscribe),
    }


def from_json(value: object) -> Device:
    """Read a device from any JSON value.

    Raises:
        DeviceError: a field is missing, unknown, of the wrong type or out of range.
    """
    fields = _fields(value, "device", Device._fields)
    device = Device(
        client_id=_typed(fields, "client_id", str),
        username=_typed(fields, "username", str),
        secrets=tuple(_secret_from_json(item) for item in _typed(fields, "secrets", list)),
        enabled=_typed(fields, "enabled", bool),
        publish=_strings(fields, "publish"),
        subscribe=_strings(fields, "subscribe"),
        version=_typed(fields, "version", int),
        created_at=_typed(fields, "created_at", int),
    )
    validate_device(device)
    return device


def _secret_to_json(secret: Secret) -> dict[str, object]:
    cost = secret.cost._asdict() if secret.kind == SCRYPT else {}
    expiry = {"expires_at": secret.expires_at} if secret.expires_at else {}
    return {
        "kind": secret.kind,
        "salt": secret.salt.hex(),
        "digest": secret.digest.hex(),
        "created_at": secret.created_at,
        **cost,
        **expiry,
    }


def _secret_from_json(value: object) -> Secret:
    names: tuple[str, ...] = ("kind", "salt", "digest", "created_at")
    is_scrypt = isinstance(value, dict) and value.get("kind") == SCRYPT
    expires = isinstance(value, dict) and "expires_at" in value
    names += (ScryptCost._fields if is_scrypt else ()) + (("expires_at",) if expires else ())
    fields = _fields(value, "secret", names)
    try:
        salt, digest = (bytes.fromhex(_typed(fields, name, str)) for name in ("salt", "digest"))
    except ValueError:
        raise DeviceError("the salt or the digest of a secret is not hexadecimal") from None
    cost = ScryptCost(*(_typed(fields, name, int) for name in ScryptCost._fields)) if is_scrypt else DEFAULT_COST
    expires_at = _typed(fields, "expires_at", int) if expires else 0
    return Secret(_typed(fields, "kind", str), salt, digest, _typed(fields, "created_at", int), cost, expires_at)


def _fields(value: object, what: str, names: tuple[str, ...]) -> dict[str, object]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise DeviceError(f"a {what} needs exactly the fields {', '.join(names)}")
    return value


def _typed(fields: dict[str, object], name: str, kind: type[T]) -> T:
    value = fields[name]
    if type(value) is not kind:  # isinstance would accept True as a version
        raise DeviceError(f"the field {name} is not of type {kind.__name__}")
    return value


def _strings(fields: dict[str, object], name: str) -> tuple[str, ...]:
    items = _typed(fields, name, list)
    if not all(isinstance(item, str) for item in items):
        raise DeviceError(f"the field {name} is not a list of strings")
    return tuple(items)
