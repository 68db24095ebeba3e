"""AWS for tests: answers for what moto lacks, each checked against AWS's own service model.

botocore checks the requests; the answers are checked here, so that no test depends on an answer that AWS cannot give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import boto3  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest
from botocore import validate, xform_name

ACCOUNT = "123456789012"
REGION = "eu-west-1"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}


THROUGH: Any = object()
"""An answer that is moto's to give."""


class Refuse(Exception):
    """An error that AWS answers with."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


# Read once for all sessions, since reading the service models takes longer than most tests.
_LOADER = botocore.session.get_session().get_component("data_loader")


def new_session() -> boto3.Session:
    """A session of the environment."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _LOADER)
    return boto3.Session(botocore_session=core)


class Call(NamedTuple):
    service: str
    operation: str
    parameters: dict[str, Any]


Answer = Callable[..., dict[str, Any] | None]


class Answers:
    """A boto3 session some of whose calls are answered here; the others go on, to moto.

    Args:
        is_alone: whether there is no moto, so that a call without an answer is a mistake.
    """

    def __init__(self, *, is_alone: bool = False) -> None:
        self.calls: list[Call] = []
        self._left_until: dict[tuple[str, str], int] = {}
        self._answers: dict[tuple[str, str], Answer] = {}
        self._is_alone = is_alone
        self.session = new_session()
        self.session.events.register("before-parameter-build", self._note)
        self.session.events.register("before-call", self._answer)

    def on(self, service: str, operation: str, answer: Answer | dict[str, Any] | Refuse | list[Any]) -> None:
        """Answer an operation with a dict, an error, a function of the parameters, or a list of them, one a call."""
        self._answers[service, operation] = _function(answer)

    @contextmanager
    def interrupted(self, service: str, operation: str, number: int) -> Iterator[None]:
        """Press Ctrl-C just before the call of this number, from 0; it must come to that."""
        self._left_until[service, operation] = number
        with pytest.raises(KeyboardInterrupt):
            yield
        del self._left_until[service, operation]

    def of(self, *operations: str) -> list[Call]:
        """The calls of some operations, in order."""
        return [call for call in self.calls if call.operation in operations]

    def _note(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        context["noted"] = dict(params)
        what = model.service_model.service_name, xform_name(model.name)
        if what in self._left_until:
            self._left_until[what] -= 1
            if self._left_until[what] < 0:
                raise KeyboardInterrupt

    def _answer(self, model: Any, context: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]] | None:
        call = Call(model.service_model.service_name, xform_name(model.name), context["noted"])
        self.calls.append(call)
        answer = self._answers.get((call.service, call.operation))
        if answer is None:
            assert not self._is_alone, f"nobody answers {call}"
            return None
        try:
            body = answer(**call.parameters)
        except Refuse as refused:
            error = {"Code": refused.code, "Message": refused.message}
            metadata = {"HTTPStatusCode": refused.status, "RetryAttempts": 0}
            return _Http(refused.status), {"Error": error, "ResponseMetadata": metadata}
        if body is THROUGH:
            return None
        body = body or {}
        if model.output_shape is not None:
            report = validate.ParamValidator().validate(body, model.output_shape)
            assert not report.has_errors(), f"AWS cannot answer {call.operation} so: {report.generate_report()}"
        return _Http(200), {**body, "ResponseMetadata": {"HTTPStatusCode": 200, "RetryAttempts": 0}}


class _Http(NamedTuple):
    status_code: int
    headers: dict[str, str] = {}  # noqa: RUF012  nobody writes to it


def _function(answer: Any) -> Answer:
    if isinstance(answer, list):
        left = [_function(each) for each in answer]

        def next_one(**parameters: Any) -> Any:
            return (left.pop(0) if len(left) > 1 else left[0])(**parameters)

        return next_one
    if isinstance(answer, Refuse):

        def refuse(**_: Any) -> None:
            raise answer

        return refuse
    if isinstance(answer, dict):
        return lambda **_: answer
    function: Answer = answer
    return function
