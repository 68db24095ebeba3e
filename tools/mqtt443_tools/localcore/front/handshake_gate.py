"""Limits the TLS handshakes in progress, so that a flood of half-open ones costs little and does not lock devices out.

At a limit, the oldest handshake is ended: of the new client's address or, for the total limit, of the address with the
most handshakes in progress. A device at an address without a flood keeps its full time for the handshake.
"""

from __future__ import annotations

from collections.abc import Callable


class HandshakeGate:
    """The handshakes in progress.

    Args:
        per_address: how many one address may have in progress, 1 or more.
        in_all: how many all addresses may have in progress, 1 or more.
    """

    def __init__(self, per_address: int, in_all: int) -> None:
        self._per_address = per_address
        self._in_all = in_all
        self._in_progress: dict[str, dict[object, Callable[[], None]]] = {}  # by address, the oldest first
        self._count = 0

    @property
    def count(self) -> int:
        """How many handshakes are in progress."""
        return self._count

    def begin(self, address: str, end: Callable[[], None]) -> Callable[[], None]:
        """Count a handshake; return the function that removes it, which may be called twice.

        Args:
            address: of the client.
            end: ends the handshake early, to make room for a newer one; called at most once.
        """
        if len(self._in_progress.get(address, ())) >= self._per_address:
            self._end_oldest(address)
        elif self._count >= self._in_all:
            # This looks at `in_all` addresses at most, however many clients there are.
            self._end_oldest(max(self._in_progress, key=lambda known: len(self._in_progress[known])))
        key = object()
        self._in_progress.setdefault(address, {})[key] = end
        self._count += 1
        return lambda: self._remove(address, key)

    def _end_oldest(self, address: str) -> None:
        key, end = next(iter(self._in_progress[address].items()))
        self._remove(address, key)
        end()

    def _remove(self, address: str, key: object) -> None:
        handshakes = self._in_progress.get(address, {})
        if handshakes.pop(key, None) is not None:
            self._count -= 1
            if not handshakes:
                del self._in_progress[address]
