"""config.json: the one definition of its keys, and the check that turns it into a
`settings.Config`.

`FIELDS` serves the validator, docs/config.md (a test compares them) and host tools. The CA file's content is
checked by `ca`, not here.
"""

import json

from . import errors
from .settings import Config

REQUIRED = ...

# key, kind, default (REQUIRED: no default; None: absent), low, high. str: length in bytes of UTF-8. int: value.
# choice: low is the tuple of choices.
FIELDS = (
    ("wifi.ssid", "str", None, 1, 32),
    ("wifi.password", "str", "", 0, 64),
    ("endpoint", "str", REQUIRED, 1, 253),
    ("port", "int", 443, 1, 65535),
    ("client_id", "str", REQUIRED, 1, 128),
    ("username", "str", "", 0, 1024),
    ("password", "str", "", 0, 1024),
    ("authorizer", "str", None, 1, 128),
    ("token", "str", None, 1, 6144),
    ("token_key", "str", None, 1, 128),
    ("token_signature", "str", None, 1, 2560),
    ("transport", "choice", "auto", ("auto", "alpn", "wss", "tls"), None),
    ("ca", "str", "ca.der", 1, 128),
    ("topic", "str", "telemetry/{client_id}", 1, 256),
    ("interval_s", "int", 60, 1, 86400),
    ("qos", "int", 1, 0, 1),
    ("keepalive_s", "int", 120, 30, 1200),
    ("timeout_s", "int", 15, 10, 120),
    ("clean_session", "bool", True, None, None),
    ("will_topic", "str", None, 1, 256),
    ("will_message", "str", "offline", 0, 1024),
    ("max_message_bytes", "int", 2048, 512, 32768),
    ("ntp_server", "str", "pool.ntp.org", 0, 253),
)

_SECRET = ("password", "wifi.password", "token", "token_signature")
_TOKEN = ("token", "token_key", "token_signature")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_HOST = _LETTERS + "-."
# AWS API reference, CreateAuthorizer: [\w=,@-]+ and [a-zA-Z0-9_-]+; TestInvokeAuthorizer: Base64.
_AUTHORIZER = _LETTERS + "_=,@-"
_TOKEN_KEY = _LETTERS + "_-"
_SIGNATURE = _LETTERS + "+/=%"


def mqtt_username(config):
    """Return the user name for CONNECT with the authorizer's parameters behind it; None if there is none at all.

    AWS IoT developer guide, "Connecting to AWS IoT Core by using custom authentication". The same bytes as the official
    SDK sends: the signature is percent-encoded unless it is already, the token is left alone.
    """
    parameters = []
    if config.authorizer:
        parameters.append("x-amz-customauthorizer-name=" + quote(config.authorizer))
    if config.token:
        signature = config.token_signature
        parameters.append("x-amz-customauthorizer-signature=" + (signature if "%" in signature else quote(signature)))
        parameters.append(quote(config.token_key) + "=" + config.token)
    if parameters:
        return config.username + "?" + "&".join(parameters)
    return config.username or None


def quote(text):
    """Return text percent-encoded as UTF-8, with letters, digits and -_.~/ as they are (RFC 3986 section 2.1)."""
    return "".join(chr(b) if chr(b) in _LETTERS + "-_.~/" else "%%%02X" % b for b in text.encode())


def load(path="config.json"):
    """Return the `Config` in the file at path. Raises ConfigError, one line that says what to change."""
    try:
        with open(path, "rb") as file:
            try:
                values = json.load(file)
            except ValueError as e:
                # CPython's error knows the line; MicroPython's parser stopped reading where the error is.
                line = getattr(e, "lineno", 0)
                if not line:
                    end = file.tell()
                    file.seek(0)
                    line = file.read(end).count(b"\n") + 1
                raise errors.ConfigError("%s: not valid JSON, see line %d (a comma, quote or bracket)" % (path, line))
    except errors.ConfigError:
        raise
    except OSError:
        raise errors.ConfigError("%s: there is no such file; copy config.example.json to it and fill it in" % path)
    try:
        return validate(values)
    except errors.ConfigError as e:
        raise errors.ConfigError("%s: %s" % (path, e.args[0]))


def validate(values):
    """Return the `Config` for values, a dict as JSON gives it. Raises ConfigError that names the key and the fix."""
    if not isinstance(values, dict):
        raise errors.ConfigError("it must be one object in { }")
    flat = _flatten(values)
    known = [field[0] for field in FIELDS]
    for key in flat:
        if key not in known:
            near = nearest(key, known)
            raise errors.ConfigError("unknown key %s; " % key + ("did you mean %s?" % near if near else "remove it"))
    checked = {}
    for field in FIELDS:
        checked[field[0]] = _value(field, flat.get(field[0]))
    config = Config(checked)
    _check_together(config, checked)
    config.mqtt_username = mqtt_username(config)
    return config


def _flatten(values):
    wifi = values.get("wifi")
    flat = {key: values[key] for key in values if key != "wifi"}
    if wifi is not None:
        if not isinstance(wifi, dict) or "ssid" not in wifi:
            raise errors.ConfigError('wifi must be {"ssid": ..., "password": ...}; leave it out on Ethernet')
        for key in wifi:
            flat["wifi." + key] = wifi[key]
    for key in flat:
        if "wifi." in key and wifi is None:
            raise errors.ConfigError('unknown key %s; write "wifi": {"ssid": ..., "password": ...}' % key)
    return flat


def _value(field, value):
    """Return value, or the default for None, if it fits field; raise ConfigError otherwise."""
    key, kind, default, low, high = field
    if value is None:
        if default is REQUIRED:
            raise errors.ConfigError("%s is missing; add it" % key)
        return default
    if kind == "int":
        fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        rule = "a whole number from %d to %d" % (low, high)
        if high - low == 1:
            rule = "%d or %d" % (low, high)
    elif kind == "bool":
        fits = isinstance(value, bool)
        rule = "true or false"
    elif kind == "choice":
        fits = value in low
        rule = "one of " + ", ".join(low)
    else:
        fits = isinstance(value, str) and low <= len(value.encode()) <= high and not any(c < " " for c in value)
        rule = "text of %d to %d bytes" % (low, high)
    if fits:
        return value
    if key in _SECRET:
        raise errors.ConfigError("%s must be %s" % (key, rule))
    shown = json.dumps(value)
    if isinstance(value, str) and len(shown) > 40:
        shown = "%d bytes long" % len(value.encode())
    raise errors.ConfigError("%s is %s; it must be %s" % (key, shown[:40], rule))


def _check_together(config, checked):
    _characters(checked, "endpoint", _HOST, "a host name alone, without https:// and without a port")
    _characters(checked, "ntp_server", _HOST, "a host name, or empty for no NTP")
    _characters(checked, "authorizer", _AUTHORIZER, "letters, digits and _ = , @ -")
    _characters(checked, "token_key", _TOKEN_KEY, "letters, digits and _ -")
    _characters(checked, "token_signature", _SIGNATURE, "Base64")
    given = [key for key in _TOKEN if checked[key]]
    if given and len(given) < 3:
        raise errors.ConfigError("%s alone; token, token_key and token_signature come together" % given[0])
    if "?" in config.username:
        raise errors.ConfigError("username must not hold ?; the authorizer has its own key")
    if config.token and any(c in "&?# " for c in config.token):
        raise errors.ConfigError("token must not hold & ? # or spaces")
    for key in ("topic", "will_topic"):
        if checked[key]:
            topic = checked[key].replace("{client_id}", config.client_id)
            _check_topic(key, topic)
            setattr(config, key, topic)


def _characters(checked, key, allowed, rule):
    if checked[key] and any(c not in allowed for c in checked[key]):
        shown = "" if key in _SECRET else " is %s; it" % json.dumps(checked[key][:40])
        raise errors.ConfigError("%s%s must be %s" % (key, shown, rule))


def _check_topic(key, topic):
    """Check a topic name against MQTT 3.1.1 section 4.7 and AWS's quotas (General Reference, AWS IoT Core)."""
    if len(topic.encode()) > 256:
        raise errors.ConfigError("%s has %d bytes; AWS takes 256, so shorten it" % (key, len(topic.encode())))
    if "+" in topic or "#" in topic or "{" in topic:
        raise errors.ConfigError("%s is %s; it must not hold + # or {" % (key, json.dumps(topic)))
    # Basic Ingest: the prefix $aws/rules/NAME/ counts for nothing, and no other $ topic is for devices.
    levels = topic.split("/")
    slashes = len(levels) - 1
    if topic[0] == "$":
        if levels[:2] != ["$aws", "rules"]:
            raise errors.ConfigError("%s begins with $; AWS keeps such topics to itself" % key)
        slashes -= 3
    if slashes > 7:
        raise errors.ConfigError("%s has %d slashes; AWS takes 7, so shorten it" % (key, slashes))


def nearest(key, known):
    """Return the name in known that differs from key by the fewest edits, or "" if none is near."""
    best = ""
    best_edits = max(len(key) // 3, 1) + 1
    for name in known:
        row = list(range(len(name) + 1))
        for i, a in enumerate(key):
            last = row
            row = [i + 1]
            for j, b in enumerate(name):
                row.append(min(last[j] + (a != b), last[j + 1] + 1, row[j] + 1))
        if row[-1] < best_edits:
            best, best_edits = name, row[-1]
    return best
