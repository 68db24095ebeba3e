"""A flood of half-open TLS handshakes: `python -m bench.flooder PORT RATE SECONDS`.

It opens connections to 127.0.0.1 at a rate, from 127.0.0.2, and sends nothing on them. It prints how many a second it
opened, which is less than RATE on a machine that is too slow.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections import deque

SOURCE = "127.0.0.2"
MOST_OPEN = 1500
MOST_AT_ONCE = 200
TICK_S = 0.001


def flood(port: int, rate: float, seconds: float) -> float:
    """Flood a port; return how many connections a second were opened."""
    connections: deque[socket.socket] = deque()
    start = time.monotonic()
    opened = 0
    while (passed := time.monotonic() - start) < seconds:
        due = min(int(passed * rate) - opened, MOST_AT_ONCE)
        if due <= 0:
            time.sleep(TICK_S)
        for _ in range(due):
            connection = socket.socket()
            connection.setblocking(False)
            connection.bind((SOURCE, 0))
            with contextlib.suppress(BlockingIOError):  # it connects while this goes on
                connection.connect(("127.0.0.1", port))
            connections.append(connection)
            opened += 1
            if len(connections) > MOST_OPEN:
                connections.popleft().close()
    for connection in connections:
        connection.close()
    return opened / passed


if __name__ == "__main__":
    print(flood(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
