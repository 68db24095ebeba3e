"""What a board's ROM and port do at power-on: set sys.path, run boot.py, run main.py, fall to the prompt.

Runs inside the board's interpreter, MicroPython or CPython, with the board's root as its working directory. Arguments:
the file that is the board's flash ("" for none: its root is the folder itself), then the folders that stand for what an
image has built in (`machine`, `network`, frozen umqtt), which come before /lib as frozen modules do. The exit code says
how it ended: 0 main.py returned, 1 it raised.
"""

import os
import sys


def run(name, names):
    """Run one file of the board's root as the port does, in its names; return False if it raised."""
    with open(name) as file:
        source = file.read()
    try:
        exec(compile(source, name, "exec"), names)  # noqa: S102 - the board's own program
    except SystemExit as end:
        return not end.args or not end.args[0]
    except Exception as error:
        if hasattr(sys, "print_exception"):
            sys.print_exception(error)
        else:
            sys.excepthook(type(error), error, error.__traceback__)
        return False
    return True


def start(flash, built_in):
    """Run boot.py and main.py if they exist; return the exit code."""
    own = sys.argv[0].rpartition("/")[0]
    inherited = [path for path in sys.path if path not in ("", ".frozen", own)]
    sys.path[:] = ["", ".frozen"] + built_in + ["lib"] + inherited
    if flash:
        import _flash

        _flash.mount(flash)
    ok = True
    names = {"__name__": "__main__"}  # main.py sees what boot.py left
    for name in ("boot.py", "main.py"):
        if name in os.listdir():
            ok = run(name, names) and ok
    return 0 if ok else 1


sys.exit(start(sys.argv[1], sys.argv[2:]))
