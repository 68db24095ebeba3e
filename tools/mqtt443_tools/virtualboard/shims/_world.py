"""What surrounds the virtual board: its radio, its sensors, its supervisor. Read again on every access.

The supervisor (`tools/mqtt443_tools/virtualboard/supervisor.py`) passes two paths in the environment:

- `MQTT443_WORLD`: a folder. `world.json` in it says how the surroundings behave now (a test may replace it at any
  time); what must outlive a reset of the board (NVS, RTC memory) is kept beside it.
- `MQTT443_SUPERVISOR`: a named pipe to the supervisor, which restarts and kills as a chip's reset logic does.

A test that wants a clock which the board can set runs it under libfaketime with `FAKETIME_TIMESTAMP_FILE`; the offset
in that file is the clock.
"""

import json
import os
import time

_pipe = None


def folder():
    """Return the path of the world's folder; "." where there is no supervisor."""
    return os.getenv("MQTT443_WORLD") or "."


def look(key, default):
    """Return what world.json says about `key` at this moment, else `default`."""
    try:
        with open(folder() + "/world.json") as file:
            return json.load(file).get(key, default)
    except OSError:  # no such file: the surroundings are as they should be
        return default


def keep(name, data):
    """Write the bytes `data` to the file `name` that outlives a reset."""
    path = folder() + "/" + name
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)


def kept(name):
    """Return the bytes that `keep` wrote, or None."""
    try:
        with open(folder() + "/" + name, "rb") as file:
            return file.read()
    except OSError:
        return None


def tell(line):
    """Send line, bytes with a line end, to the supervisor; without one, do nothing.

    Allocates nothing, as feeding a chip's watchdog does not: the board's garbage is measured.
    """
    global _pipe
    if _pipe is None:
        path = os.getenv("MQTT443_SUPERVISOR")
        if not path:
            return
        _pipe = open(path, "wb", 0)
    _pipe.write(line)


def wait_for_the_end():
    """Never return: the supervisor ends this process, as a reset ends a program on a chip."""
    if not os.getenv("MQTT443_SUPERVISOR"):
        raise SystemExit("the board has reset, and no supervisor is there to start it again")
    while True:
        time.sleep(1)


def clock_offset_s():
    """Return how far the board's clock is ahead of the host's, in seconds."""
    path = os.getenv("FAKETIME_TIMESTAMP_FILE")
    if not path:
        return 0
    with open(path) as file:
        return int(file.read())


def move_clock(by_s):
    """Set the board's clock ahead by that many seconds; without its own clock, a board keeps the host's."""
    path = os.getenv("FAKETIME_TIMESTAMP_FILE")
    if path:
        offset_s = clock_offset_s() + by_s
        with open(path, "w") as file:
            file.write("%+d" % offset_s)
