"""Makes a command that is terminated (by `kill`, or a closed terminal) end as on Ctrl-C, with everything it started."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def all_as_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGTERM and SIGHUP too, within the block, unless they have handlers (nohup)."""
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    changed = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
