"""A relay on GPIO 26, switched by the command `relay`, and off again by itself after `for_s` seconds."""

from time import ticks_add, ticks_diff, ticks_ms

from machine import Pin
from mqtt443 import command

ON, OFF = 1, 0  # a module that switches at a low level has them the other way round
MAX_S = 86400

relay = Pin(26, Pin.OUT, value=OFF)
off_at = None


@command("relay")
def switch(arguments):
    """Switch the relay; `{"on": true, "for_s": 10}` switches it off again."""
    global off_at
    seconds = arguments.get("for_s", 0)
    if not isinstance(arguments["on"], bool) or not 0 <= seconds <= MAX_S:
        raise ValueError("on must be true or false, for_s 0 to %d" % MAX_S)
    relay.value(ON if arguments["on"] else OFF)
    off_at = ticks_add(ticks_ms(), seconds * 1000) if arguments["on"] and seconds else None
    return {"on": relay.value() == ON}


def read():
    """Return the state; also switch off a relay whose time is over, so at most once per interval."""
    global off_at
    if off_at is not None and ticks_diff(off_at, ticks_ms()) <= 0:
        off_at = None
        relay.value(OFF)
    return {"relay_on": relay.value() == ON}
