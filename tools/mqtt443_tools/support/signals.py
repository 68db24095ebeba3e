"""Lets a command that is told to end (`kill`, a closed terminal) end as on Ctrl-C: what it started ends too."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def all_as_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGTERM and SIGHUP too, in the block, unless somebody (nohup) had them otherwise."""
    taken = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
