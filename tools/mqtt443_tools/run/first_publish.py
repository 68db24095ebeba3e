"""Shows a board's log until its first message has been acknowledged."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from mqtt443_tools.monitor.monitor_command import BoardLog, Left, watch
from mqtt443_tools.support.console import terminal

PUBLISHED = re.compile(r"^\[ *\d+\.\d{3}\] published (.*)")  # the board logs it at the PUBACK


class _UntilPublished(BoardLog):
    """A board's log that ends with the first acknowledged message."""

    published: str | None = None

    def end_line(self, whole: str) -> None:
        """Leave at the line that reports a PUBACK."""
        if found := PUBLISHED.match(whole):
            self.published = found[1]
            raise Left


def await_first_publish(
    device: str, connect: Callable[[str], Any], timeout_s: float, keys: Callable[[], bytes], *, as_json: bool
) -> str | None:
    """Show the log of a board that was just restarted; return the message that was acknowledged first.

    Args:
        device: the port.
        connect: opens it, see `ports.open_port`.
        timeout_s: how long to wait.
        keys: the keys that the person presses; Ctrl-] ends the wait.
        as_json: one JSON object a line, for scripts.

    Returns:
        The message, or None if none was acknowledged in time.

    Raises:
        PortError: the port cannot be opened.
    """
    log = _UntilPublished(terminal(stderr=as_json), as_json=False, now=lambda: datetime.now().astimezone())
    watch(device, connect, log, keys=keys, deadline=time.monotonic() + timeout_s)
    return log.published
