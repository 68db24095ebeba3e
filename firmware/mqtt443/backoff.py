"""How long to wait before the next attempt: full jitter, two ladders, which start over only after a stable connection.

A network fault climbs a short ladder, a refusal a long one, because every refused attempt costs a Lambda call.
The caller does the waiting.
"""

from ._port import const

# AWS accepts one CONNECT per second and client id (General Reference, AWS IoT Core).
LEAST_MS = const(1000)
# Wide enough that a fleet whose links broke at the same instant does not return within the same second.
NETWORK_FIRST_MS = const(5000)
NETWORK_LAST_MS = const(60000)
REFUSAL_FIRST_MS = const(30000)
REFUSAL_LAST_MS = const(900000)
STABLE_MS = const(60000)


class Backoff:
    """Exponential backoff with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter").

    random_below: a function, limit -> integer in 0..limit-1.
    """

    def __init__(self, random_below):
        self.random_below = random_below
        self._reset()

    def _reset(self):
        self._network_ms = NETWORK_FIRST_MS
        self._refusal_ms = REFUSAL_FIRST_MS

    def delay_ms(self, refused, connected_ms=0):
        """Return the wait before the next attempt, LEAST_MS to a ceiling, and double that ladder's ceiling.

        refused: whether the last attempt was refused (else it was a network fault). connected_ms: how long the
        connection was up before it failed. Both ladders start over only after STABLE_MS: otherwise a server that
        accepts and then closes would get an attempt after every shortest wait.
        """
        if connected_ms >= STABLE_MS:
            self._reset()
        if refused:
            ceiling = self._refusal_ms
            self._refusal_ms = min(ceiling * 2, REFUSAL_LAST_MS)
        else:
            ceiling = self._network_ms
            self._network_ms = min(ceiling * 2, NETWORK_LAST_MS)
        return LEAST_MS + self.random_below(ceiling - LEAST_MS + 1)
