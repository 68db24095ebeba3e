"""config.json: the one definition of its keys, and the check that turns it into a `settings.Config`.

`FIELDS` serves the validator, docs/config.md (a test compares them) and host tools. The CA file's content is checked by
`ca`, not here. A board forgets this module once the config is read.
"""

import json

from . import errors
from .settings import Config

REQUIRED = ...

_ALNUM = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

# Kinds of text: the characters it may hold (None: all but control characters), in words.
_TEXT = {
    "str": (None, "text"),
    "secret": (None, "text"),
    "host": (_ALNUM + "-.", "a host name alone, no https:// and no port"),
    # AWS IoT API reference, CreateAuthorizer and TestInvokeAuthorizer
    "authorizer": (_ALNUM + "_=,@-", "letters, digits or _ = , @ -"),
    "token_key": (_ALNUM + "_-", "letters, digits or _ -"),
    "base64": (_ALNUM + "+/=%", "Base64"),
}

# key, kind, default (REQUIRED: no default; None: absent), low, high. Kinds of text: length in bytes of UTF-8.
# int: value. choice: low is the tuple of choices. A "secret" or "base64" is never shown.
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
    ("transport", "choice", "auto", ("auto", "alpn", "wss", "tls"), None),
    ("ca", "str", "ca.der", 1, 128),
    ("topic", "str", "telemetry/{client_id}", 1, 256),
    ("interval_s", "int", 60, 1, 86400),
    ("qos", "int", 1, 0, 1),
    ("window", "int", 8, 1, 100),
    ("outbox_bytes", "int", 65536, 0, 1048576),
    ("ttl_s", "int", 0, 0, 31536000),
    ("commands", "bool", True, None, None),
    ("keepalive_s", "int", 120, 30, 1200),
    ("timeout_s", "int", 15, 10, 120),
    ("clean_session", "bool", True, None, None),
    ("will_topic", "str", None, 1, 256),
    ("will_message", "str", "offline", 0, 1024),
    ("max_message_bytes", "int", 1024, 512, 32768),
    ("ntp_server", "host", "pool.ntp.org", 0, 253),
    ("reset_after", "int", 20, 0, 1000),
    ("watchdog_s", "int", 120, 0, 3600),
    ("deep_sleep", "bool", False, None, None),
    ("safe_pin", "int", None, 0, 48),
)


def load(path="config.json", keep=False):
    """Return the `Config` in the file at path. Raises ConfigError, one line that says what to change.

    keep: keep a copy of a good one as path + ".good", and take that where the file is missing or torn; the attribute
    `said` of the result is then a line that says so, else None.
    """
    said = None
    try:
        with open(path, "rb") as file:
            values = _parse(file)
    except OSError as e:  # a ConfigError is one, too
        values = _kept(path) if keep else None
        what = e.args[0] if isinstance(e, errors.ConfigError) else "no such file; start from config.example.json"
        said = "%s: %s" % (path, what)
        if values is None:
            raise errors.ConfigError(said)
        said += "; the last good one is used"
    try:
        config = validate(values)
    except errors.ConfigError as e:
        raise errors.ConfigError("%s: %s" % (path, e.args[0]))
    config.said = said
    if keep and not said and _kept(path) != values:
        from .files import write

        try:
            write(path + ".good", json.dumps(values).encode())
        except OSError as e:
            config.said = "%s.good: %s" % (path, e)
    return config


def _kept(path):
    from .files import read

    data = read(path + ".good")[0]
    return data and json.loads(data)


def _parse(file):
    try:
        return json.load(file)
    except ValueError as e:
        # CPython's error knows the line; MicroPython's parser stopped reading where the error is.
        line = getattr(e, "lineno", 0)
        if not line:
            end = file.tell()
            file.seek(0)
            line = file.read(end).count(b"\n") + 1
        raise errors.ConfigError("not valid JSON at line %d; check commas, quotes, brackets" % line)


def validate(values):
    """Return the `Config` for values, a dict as JSON gives it. Raises ConfigError that names the key and the fix."""
    if not isinstance(values, dict):
        raise errors.ConfigError("must be one object in { }")
    flat = _flatten(values)
    known = [field[0] for field in FIELDS]
    for key in flat:
        if key not in known:
            near = nearest(key, known)
            fix = "did you mean %s?" % near if near else "remove it"
            raise errors.ConfigError("unknown key %s; %s" % (json.dumps(key), fix))
    checked = {}
    for field in FIELDS:
        checked[field[0]] = _value(field, flat.get(field[0]))
    config = Config(checked)
    _check_together(config)
    config.mqtt_username = mqtt_username(config)
    return config


def _flatten(values):
    flat = {}
    for key in values:
        value = values[key]
        if key == "wifi" and value is not None:
            if not isinstance(value, dict) or "ssid" not in value:
                raise errors.ConfigError('wifi must be {"ssid": ..., "password": ...} or absent')
            for name in value:
                flat["wifi." + name] = value[name]
        elif "." in key:
            raise errors.ConfigError("unknown key %s; write it inside { }" % json.dumps(key))
        elif key != "wifi":
            flat[key] = value
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
    elif kind == "bool":
        fits = isinstance(value, bool)
        rule = "true or false"
    elif kind == "choice":
        fits = value in low
        rule = "one of " + ", ".join(low)
    else:
        allowed, rule = _TEXT[kind]
        rule = "%s, %d to %d bytes" % (rule, low, high)
        fits = isinstance(value, str) and low <= len(value.encode()) <= high
        fits = fits and all(c >= " " if allowed is None else c in allowed for c in value)
    if fits:
        return value
    if kind in ("secret", "base64"):
        raise errors.ConfigError("%s must be %s" % (key, rule))
    shown = json.dumps(value)
    if len(shown) > 60:
        shown = "%s... (%d bytes)" % (shown[:20], len(shown.encode()) - 2)
    raise errors.ConfigError("%s is %s; it must be %s" % (key, shown, rule))


def _check_together(config):
    given = [key for key in ("token", "token_key", "token_signature") if getattr(config, key)]
    if given and len(given) < 3:
        raise errors.ConfigError("%s alone; token, token_key, token_signature come together" % given[0])
    if "?" in config.username:
        raise errors.ConfigError("username must not hold ?; authorizer has its own key")
    if config.token and any(c in "&?# " for c in config.token):
        raise errors.ConfigError("token must not hold & ? # or spaces")
    if config.watchdog_s:
        # A step of timeout_s may follow another before there is progress to feed it.
        config.watchdog_s = max(config.watchdog_s, 60, 2 * config.timeout_s)
    for key in ("topic", "will_topic"):
        topic = getattr(config, key)
        if topic:
            topic = topic.replace("{client_id}", config.client_id)
            _check_topic(key, topic)
            setattr(config, key, topic)


def _check_topic(key, topic):
    """Check a topic name against MQTT 3.1.1 section 4.7 and AWS's quotas (General Reference, AWS IoT Core)."""
    size = len(topic.encode())
    slashes = topic.count("/")
    if topic[0] == "$":
        # Basic Ingest: the prefix $aws/rules/NAME/ counts for nothing. No other $ topic takes a device's messages.
        if topic[:11] != "$aws/rules/":
            raise errors.ConfigError("%s is %s; AWS keeps topics with $ to itself" % (key, json.dumps(topic)))
        slashes -= 3
    if any(c in topic for c in "+#{}"):
        raise errors.ConfigError("%s is %s; it must not hold + # { }" % (key, json.dumps(topic)))
    if size > 256 or slashes > 7:
        raise errors.ConfigError("%s has %d bytes and %d slashes; AWS takes 256 and 7" % (key, size, slashes))


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
        parameters.append(config.token_key + "=" + config.token)
    if parameters:
        return config.username + "?" + "&".join(parameters)
    return config.username or None


def quote(text):
    """Return text percent-encoded as UTF-8, with letters, digits and -_.~/ as they are (RFC 3986 section 2.1)."""
    return "".join(chr(b) if chr(b) in _ALNUM + "-_.~/" else "%%%02X" % b for b in text.encode())


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
