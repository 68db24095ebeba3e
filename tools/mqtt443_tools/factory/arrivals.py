"""Waits for the boards' telemetry, with one watch on the endpoint for all boards of a station."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mqtt443_tools.support.errors import CommandError


class Arrivals:
    """Waits for the first message of each board.

    Args:
        messages: as `mqtt443 watch` gets them, until the source ends.
    """

    def __init__(self, messages: Iterable[Mapping[str, Any]]) -> None:
        self._changed = threading.Condition()
        self._awaited: set[str] = set()
        self._arrived: set[str] = set()
        self._over: str | None = None
        self._thread = threading.Thread(target=self._run, args=(messages,), name="arrivals", daemon=True)
        self._thread.start()

    def expect(self, client_id: str) -> None:
        """Expect a message of a client id from now on; earlier ones do not count."""
        with self._changed:
            self._awaited.add(client_id)
            self._arrived.discard(client_id)

    def wait(self, client_id: str, timeout_s: float, stopped: Callable[[], bool]) -> bool:
        """Return whether a message of an expected client id has come; waits for it until a deadline or a stop.

        Raises:
            CommandError: the endpoint is gone.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            try:
                while client_id not in self._arrived:
                    left_s = deadline - time.monotonic()
                    if self._over is not None:
                        raise CommandError(self._over)
                    if left_s <= 0 or stopped():
                        return False
                    self._changed.wait(min(left_s, 0.5))
                return True
            finally:
                self._awaited.discard(client_id)
                self._arrived.discard(client_id)

    def _run(self, messages: Iterable[Mapping[str, Any]]) -> None:
        reason = "the endpoint was stopped: start it again, then run the same command"
        try:
            for message in messages:
                who = message.get("client_id") or str(message.get("topic", "")).removeprefix("telemetry/")
                with self._changed:
                    if who in self._awaited:
                        self._arrived.add(who)
                        self._changed.notify_all()
        except CommandError as error:
            reason = str(error)
        with self._changed:
            self._over = reason
            self._changed.notify_all()
