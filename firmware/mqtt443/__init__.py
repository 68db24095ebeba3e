"""mqtt443: an ESP32 on AWS IoT Core with a user name and a password over port 443.

The public names are `run`, `command`, `handlers`, the names in `_PUBLIC`, and the error classes of `errors`. A name in
`_PUBLIC` is loaded on first use, so a board pays only for what it uses.
"""

from . import errors
from ._port import VERSION, phase

__version__ = VERSION

# Public name -> the module that defines it.
_PUBLIC = {
    "App": "app",
    "Client": "client",
    "Transport": "transport",
    "Backoff": "backoff",
    "Config": "config",
}

# Command name -> the user's function; see `command`.
handlers = {}


def command(name):
    """Register the decorated function as the handler of a command, for example in sensors.py.

    name: the value of "command" in the message {"command": name, ...}. The function gets the other members as a dict;
    what it returns, unless None, is published under "report".
    """

    def register(function):
        handlers[name] = function
        return function

    return register


def run(path="config.json", root="", stop=None, write=print):
    """Run the board with the config in the file root + path; main.py calls this.

    root: folder in front of file names. stop: a function; the loop ends when it returns True. write: takes one line of
    the log. Returns True after a clean end. Returns False if the board must stay at its prompt; a log line says why.
    """
    app = None
    try:
        with phase():
            from .boot import start

            app = start(path, root, stop, write, handlers)
    except KeyboardInterrupt:
        write("stopped by Ctrl-C")
    except Exception as e:  # such as a missing file of the package, or no memory
        write("the start failed (%s: %s); the board stays at its prompt" % (type(e).__name__, e))
    if app:
        try:
            app.run()
        except MemoryError:  # too little for an orderly end
            from machine import reset

            reset()
    with phase():
        from .boot import finish

        finish(app.config if app else None)
    return app is not None


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
