"""mqtt443: an ESP32 on AWS IoT Core with a user name and a password over port 443.

The public names are those of `_PUBLIC` and the errors of module `errors`. Each is loaded when it is first asked for:
a board pays for what it uses.
"""

from . import errors

__version__ = "0.1.0"

# Public name -> the module that has it.
_PUBLIC = {
    "run": "app",
    "App": "app",
    "Client": "client",
    "Transport": "transport",
    "Backoff": "backoff",
    "Config": "settings",
}

# Name of a command -> the user's function; see `command`.
handlers = {}


def command(name):
    """Make the function below the handler of a command; in sensors.py, say.

    name: as it stands in the message {"command": name, ...}. The function takes the other members as a dict; what it
    returns, unless None, is published under "report".
    """

    def register(function):
        handlers[name] = function
        return function

    return register


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(_load(_PUBLIC[name]), name)
    if name[0].isupper():
        return getattr(errors, name)
    try:
        # MicroPython asks here before it looks for a module of that name.
        return _load(name)
    except ImportError:
        raise AttributeError(name)


def _load(module):
    return __import__("mqtt443." + module, None, None, (module,))
