"""The jobs `config` and `password`: make the new config.json, which the next start tries.

Imported on demand by `jobs`. The validator judges the whole config; `trial` keeps it or brings the old one back.
"""

import json
import os

from ._port import const
from .config_schema import FIELDS, parse, validate
from .job_end import refuse
from .job_record import CANDIDATE
from .storage import read

_WITHIN_S = const(120)
_LEAST_S = const(10)
_MOST_S = const(3600)


def prepare(app, document):
    """Write the config that document asks for beside the old one; return the time limit of its trial in seconds.

    app: an `App`. Raises ConfigError if the validator refuses it, Finished if a key cannot be changed over the air,
    OSError if the flash fails.
    """
    within_s = document.get("within_s", _WITHIN_S)
    if type(within_s) is not int or not _LEAST_S <= within_s <= _MOST_S:
        refuse("within_s must be %d to %d", _LEAST_S, _MOST_S)
    if document["action"] == "password":
        changes, removed = {"password": document.get("password")}, []
        if not changes["password"]:
            refuse("password is missing")
    else:
        changes, removed = document.get("set", {}), document.get("delete", [])
    if not isinstance(changes, dict) or not isinstance(removed, list):
        refuse("set must be an object, delete a list")
    path = app.root + app.path
    values = _current(path)
    for key in changes:
        _change(values, key, changes[key])
    for key in removed:
        if key != "wifi" and key not in [field[0] for field in FIELDS]:
            refuse("unknown key %r in delete", str(key)[:32])
        _change(values, key)
    config = validate(values)
    if config.client_id != app.config.client_id:
        refuse("client_id names the Thing and cannot be changed over the air")
    if not config.updates:
        refuse("updates can be switched off with the cable only")
    new = path + CANDIDATE
    with open(new + ".new", "w") as file:
        json.dump(values, file)
    os.rename(new + ".new", new)
    return within_s


def _current(path):
    """Return the parsed config in the file at path; if it is torn, the last good one."""
    try:
        with open(path, "rb") as file:
            return parse(file.read())
    except OSError:  # also ConfigError
        return parse(read(path + ".good")[0] or b"")


def _change(values, key, value=None):
    """Set a key of the config to value; None removes it. Keys of wifi contain a dot, as in docs/config.md."""
    if key[:5] == "wifi.":
        wifi = values.get("wifi")
        values["wifi"] = values = dict(wifi) if isinstance(wifi, dict) else {}
        key = key[5:]
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value
