"""One step of a check: its name, its result, and how a failure is reported."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from mqtt443_tools.check.causes import CAUSES, Cause
from mqtt443_tools.support.printable import printable

BoardConfig = Any
"""A `mqtt443.config_schema.Config`: the board's code carries no types."""

Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class Step:
    """A step that was taken or skipped.

    Attributes:
        name: a word or two.
        status: how it ended.
        detail: one line for people, without secrets.
        seconds: how long it took.
        cause: of a failure.
    """

    name: str
    status: Status
    detail: str
    seconds: float
    cause: Cause | None = None

    def to_json(self, fill: Callable[[str], str]) -> dict[str, Any]:
        """Return it as JSON values; `fill` puts names into the advice."""
        cause = self.cause and {"code": self.cause.code, "text": self.cause.text, "fix": fill(self.cause.fix)}
        milliseconds = round(self.seconds * 1000, 1)
        return {"step": self.name, "status": self.status, "detail": self.detail, "ms": milliseconds, "cause": cause}


class Broken(Exception):
    """This step failed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = CAUSES[code]


class Skipped(Exception):
    """This step does not apply."""


def run_step(name: str, step: Callable[[], str], clock: Callable[[], float]) -> Step:
    """Run a step, which returns its detail or raises Broken or Skipped. `clock` returns monotonic seconds."""
    began = clock()
    try:
        status, detail, cause = "ok", step(), None
    except Broken as error:
        status, detail, cause = "failed", str(error), error.cause
    except Skipped as error:
        status, detail, cause = "skipped", str(error), None
    return Step(name, status, printable(detail), clock() - began, cause)  # type: ignore[arg-type]  # the three above
