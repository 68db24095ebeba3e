"""config.json: the only definition of its keys, and the check that turns it into a `config.Config`.

`FIELDS` serves the validator, docs/config.md (a test compares them) and the host tools. `ca` checks the content of the
CA file. A board unloads this module after reading the config.
"""

import json
import os

from . import errors
from ._port import phase, utf8
from .config import Config

REQUIRED = ...

TRANSPORTS = ("auto", "alpn", "wss", "tls")
MQTT_VERSIONS = ("5", "3.1.1")

# key, kind, default (REQUIRED: no default; None: absent), low, high.
# Kinds: "int" (low to high), "bool", "choice" (low is the tuple of choices); all others are text, low to high bytes of
# UTF-8. A "secret" or "base64" is never shown.
FIELDS = (
    ("wifi.ssid", "str", None, 1, 32),
    ("wifi.password", "secret", "", 0, 64),
    ("endpoint", "host", REQUIRED, 1, 253),
    ("port", "int", 443, 1, 65535),
    ("client_id", "str", REQUIRED, 1, 128),
    ("username", "str", "", 0, 1024),
    ("password", "secret", "", 0, 1024),
    ("authorizer", "authorizer", None, 1, 128),
    ("token", "secret", None, 1, 6144),
    ("token_key", "token_key", None, 1, 128),
    ("token_signature", "base64", None, 1, 2560),
    ("transport", "choice", "auto", TRANSPORTS, None),
    ("mqtt", "choice", "5", MQTT_VERSIONS, None),
    ("ca", "str", "ca.der", 1, 128),
    ("topic", "str", "telemetry/{client_id}", 1, 256),
    ("interval_s", "int", 60, 1, 86400),
    ("qos", "int", 1, 0, 1),
    ("window", "int", 8, 1, 100),
    ("outbox_bytes", "int", 65536, 0, 1048576),
    ("ttl_s", "int", 0, 0, 31536000),
    ("commands", "bool", True, None, None),
    ("updates", "bool", False, None, None),
    ("keepalive_s", "int", 120, 30, 1200),
    ("timeout_s", "int", 15, 10, 120),
    ("clean_session", "bool", True, None, None),
    ("will_topic", "str", None, 1, 256),
    ("will_message", "str", "offline", 0, 1024),
    ("max_message_bytes", "int", 512, 512, 32768),
    ("max_payload_bytes", "int", 4096, 1024, 131072),
    ("ntp_server", "host", "pool.ntp.org", 0, 253),
    ("reset_after", "int", 20, 0, 1000),
    ("watchdog_s", "int", 120, 0, 3600),
    ("deep_sleep", "bool", False, None, None),
    ("safe_pin", "int", None, 0, 48),
)

# Kinds of text limited to ASCII letters, digits and these characters; others may hold all but control characters.
_MORE = {
    "host": b"-.",
    # AWS IoT API reference, CreateAuthorizer and TestInvokeAuthorizer
    "authorizer": b"_=,@-",
    "token_key": b"_-",
    "base64": b"+/=%",
}


def load(path="config.json", keep=False):
    """Return the `Config` in the file at path. Raises ConfigError, one line that says what to change.

    keep: for the board's own start. A valid file is copied to path + ".good"; the copy is used if path is missing or is
    not JSON, as after a power cut. The result's attribute `notice` is then a log line about that, else None.
    """
    notice = kept = None
    good = path + ".good"
    if keep:
        with phase():
            from .storage import read

            kept = read(good)[0]
    try:
        try:
            with open(path, "rb") as file:
                data = file.read()
            values = parse(data)
        except (OSError, MemoryError) as e:
            if isinstance(e, errors.ConfigError):
                notice = e.args[0]
            else:
                notice = "the file does not exist or does not fit into memory; start from config.example.json"
            if kept is None:
                _fail(notice)
            notice += ". Using the last good one"
            data = kept
            values = parse(kept)
        config = validate(values)
    except errors.ConfigError as e:
        raise errors.ConfigError(path + ": " + e.args[0])
    if keep and data != kept:
        umask = getattr(os, "umask", int)  # on a host, keep its secrets private
        before = umask(0o77)
        try:
            with phase():
                from .storage import write

                write(good, data)
        except OSError as e:
            notice = "no copy of it can be kept (%s)" % e
        umask(before)
    config.notice = notice and path + ": " + notice
    return config


def _fail(what, *values):
    raise errors.ConfigError(what % values)


def parse(data):
    """Return the value of the JSON in data (bytes). Raises ConfigError."""
    with phase():
        from .json_syntax import check, without_mark

        data = without_mark(data)
        try:
            check(data)
        except (ValueError, RuntimeError) as e:  # RuntimeError: nested too deep for the stack
            _fail("%s", e.args[0])
    try:
        return json.loads(data)
    except ValueError as e:
        _fail("not valid JSON (%s)", e)


def validate(values):
    """Return the `Config` for values, a dict as JSON gives it. Raises ConfigError that names the key and the fix."""
    if not isinstance(values, dict):
        _fail("must be one object in { }")
    flat = {}
    for key in values:
        value = values[key]
        if key[:4] != "wifi":
            flat[key] = value
        elif key != "wifi" or value is not None:
            if key != "wifi" or not isinstance(value, dict) or "ssid" not in value:
                _fail('wifi must be {"ssid": ..., "password": ...} or absent')
            for name in value:
                flat["wifi." + name] = value[name]
    known = [field[0] for field in FIELDS]
    for key in flat:
        if key not in known:
            shown = key[:60]
            near = nearest(shown)
            _fail("unknown key %r; %s", shown, "did you mean %s?" % near if near else "remove it")
    for field in FIELDS:
        flat[field[0]] = _value(field, flat.get(field[0]))
    config = Config(flat)
    _check_together(config)
    config.mqtt_username = mqtt_username(config)
    return config


def _value(field, value):
    """Return value, or the default for None, if it fits field; raise ConfigError otherwise."""
    key, kind, default, low, high = field
    if value is None:
        if default is REQUIRED:
            _fail("%s is missing; add it", key)
        return default
    if kind == "int":
        fits = type(value) is int and low <= value <= high
        rule = "a whole number from %d to %d" % (low, high)
    elif kind == "bool":
        fits = isinstance(value, bool)
        rule = "true or false"
    elif kind == "choice":
        if type(value) is int:
            value = str(value)  # "mqtt": 5
        fits = value in low
        rule = "one of " + ", ".join(low)
    else:
        more = _MORE.get(kind)
        fits = isinstance(value, str)
        if fits:
            try:
                data = value.encode()
                utf8(data)  # surrogates come from \u in JSON
                fits = low <= len(data) <= high
                # As bytes: MicroPython never gives back the memory of characters taken from a text one by one.
                for b in data:
                    fits = fits and (_plain(b, more) if more else b >= 32)
            except UnicodeError:
                fits = False
        rule = "letters, digits or " + more.decode() if more else "text in UTF-8"
        if kind == "host":
            rule = "a host name alone, no https:// and no port"
        rule = "%s, %d to %d bytes" % (rule, low, high)
    if not fits:
        shown = "(hidden)" if kind in ("secret", "base64") else repr(value)[:60]
        _fail("%s is %s; it must be %s", key, shown, rule)
    return value


def _plain(b, more):
    """Return whether the byte b is an ASCII letter, a digit or in more."""
    return b in more or 48 <= b < 58 or 65 <= b < 91 or 97 <= b < 123


def _check_together(config):
    token = (config.token, config.token_key, config.token_signature)
    if any(token) and not all(token):
        _fail("token, token_key, token_signature come together")
    if "?" in config.username:
        _fail("username must not hold ?; authorizer has its own key")
    if _holds(config.token or "", b"&?# "):
        _fail("token must not hold & ? # or spaces")
    if config.watchdog_s:
        # Connecting takes four steps (TCP, TLS, upgrade, CONNACK) of up to timeout_s each before any progress feeds it.
        config.watchdog_s = max(config.watchdog_s, 60, 5 * config.timeout_s)
    for key in ("topic", "will_topic"):
        topic = getattr(config, key)
        if topic:
            topic = topic.replace("{client_id}", config.client_id)
            setattr(config, key, topic)
            # A topic name, by MQTT 3.1.1 section 4.7 and AWS's quotas (General Reference, AWS IoT Core).
            size = len(topic.encode())
            slashes = topic.count("/")
            rule = None
            if topic[0] == "$":
                # Basic Ingest: $aws/rules/NAME/ does not count. No other $ topic accepts a device's messages.
                slashes -= 3
                if topic[:11] != "$aws/rules/":
                    rule = "start with $, AWS keeps those to itself"
            if _holds(topic, b"+#{}"):
                rule = "hold + # { }"
            if rule:
                _fail("%s is %r; it must not %s", key, topic, rule)
            if size > 256 or slashes > 7:
                _fail("%s has %d bytes and %d slashes; AWS takes 256 and 7", key, size, slashes)


def _holds(text, more):
    # As bytes: each character taken from a text becomes one more name, which MicroPython keeps.
    return any(b in more for b in text.encode())


def mqtt_username(config):
    """Return the user name for CONNECT, followed by the authorizer's parameters; None if there is neither.

    AWS IoT developer guide, "Connecting to AWS IoT Core by using custom authentication". Sends the same bytes as the
    official SDK: the signature is percent-encoded unless it already is, the token is left alone.
    """
    prefix = "&x-amz-customauthorizer-"
    parameters = ""
    if config.authorizer:
        parameters = prefix + "name=" + quote(config.authorizer)
    if config.token:
        signature = config.token_signature
        parameters += prefix + "signature=" + (signature if "%" in signature else quote(signature))
        parameters += "&" + config.token_key + "=" + config.token
    if parameters:
        return config.username + "?" + parameters[1:]
    return config.username or None


def quote(text):
    """Return text percent-encoded as UTF-8, except letters, digits and -_.~/ (RFC 3986 section 2.1)."""
    quoted = bytearray()
    for b in text.encode():
        if _plain(b, b"-_.~/"):
            quoted.append(b)
        else:
            quoted.extend(b"%%%02X" % b)
    return quoted.decode()


def nearest(key):
    """Return the name in FIELDS that differs from key by the fewest letters, in any order; "" if none is close."""
    best = ""
    least = max(len(key) // 3, 1) + 1
    for field in FIELDS:
        rest = field[0]
        added = 0
        for c in key:
            if c in rest:
                rest = rest.replace(c, "", 1)
            else:
                added += 1
        edits = max(added, len(rest))
        if edits < least:
            best, least = field[0], edits
    return best
