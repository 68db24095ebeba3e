"""Runs one command received on commands/<client id>: built in, or a function of the user (`mqtt443.command`).

Imported on demand. A command only tells its context what it asks for; the App does it afterwards. docs/commands.md
describes the commands for those who send them.
"""

import json

from ._port import utf8
from .readings import MAX_DEPTH, TOO_LARGE, check_json, reason


def run(message, context):
    """Run the command in message (bytes as received); return a line for the log.

    context: a `CommandContext`. A command with a request_id is always answered, a refused one with the reason.
    Raises ValueError with a short reason if it refuses: not a JSON object with a command, an unknown name, an argument
    out of range, a function that raises or returns something that JSON cannot hold. Raises KeyboardInterrupt.
    """
    try:
        # Decoded here: CPython's json would accept UTF-16 too, and MicroPython's any bytes.
        order = json.loads(utf8(message))
        name = order.pop("command")
        request_id = order.pop("request_id", None)
        if not isinstance(name, str):
            raise TypeError
        if request_id is not None and not (isinstance(request_id, str) and 0 < len(request_id) <= 64):
            raise TypeError
        utf8((request_id or "").encode())  # \ud800 in JSON is half a character, and the answer would carry it
    except Exception as e:
        raise ValueError('no {"command": name} in JSON (%s)' % type(e).__name__)
    try:
        values = call(name, order, context)
        if request_id or values is not None:
            context.answer(request_id, "report", values or {})
    except ValueError as e:
        if request_id:
            context.answer(request_id, "refused", str(e))
        raise
    return "command " + name


def call(name, order, context):
    """Run one command with the arguments in order; return a dict for the answer, or None. Raises as `run` does."""
    if name == "interval":
        seconds = order.get("interval_s", 0)
        # By type: True is an int, and 5.0 equals one.
        if seconds is not None and not (type(seconds) is int and 0 < seconds <= 86400):
            raise ValueError("interval_s must be 1 to 86400, or null")
        context.set_interval(seconds)
    elif name == "send_now":
        context.send_now()
    elif name == "report":
        return context.report()
    elif name == "restart":
        context.restart("command restart")
    elif name in context.handlers:
        return _call(name, context.handlers[name], order, context.max_bytes)
    else:
        # As repr, because it comes from outside and a terminal shows the log.
        raise ValueError("no command %r" % name[:32])
    return None


def _call(name, function, order, most):
    """Return what the user's function returns: None, or a dict for a message of up to most bytes.

    Any other value is returned under the name of the command.
    """
    try:
        result = function(order)
        if result is not None:
            if type(result) is not dict:
                result = {name: result}
            if check_json(result, MAX_DEPTH, most) < 0:
                raise ValueError(TOO_LARGE % most)
        return result
    except BaseException as e:  # SystemExit too, which would end the board's program
        raise ValueError("%s raised %s" % (name, reason(e)))
