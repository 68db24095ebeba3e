"""Replaces a store or a client that is down."""

from typing import Any, Never


class Failing:
    """An object whose every method raises the given error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*arguments: object, **named: object) -> Never:
            raise self._error

        return fail
