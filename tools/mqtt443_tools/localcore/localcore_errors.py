"""Every error of the local endpoint, in one tree.

    LocalcoreError
    +-- SettingError             a setting has a value that it cannot have; also a ValueError
    +-- StateFolderError         the state folder cannot be used, or another endpoint uses it
    +-- Refused                  a client is not let in; `reason` is AWS's word for it
    +-- FunctionError            a Lambda function gave no answer; becomes a Refused
    +-- PolicyError              a policy document is not valid; also a ValueError; becomes a Refused
    +-- TopicError               AWS does not accept this topic or filter; also a ValueError
    +-- MalformedPacketError     these bytes are not an MQTT packet
    +-- AdmissionRefusedError    a CONNECT is refused
    +-- PublishRefusedError      a message is not published
    +-- SubscribeRefusedError    a SUBSCRIBE or UNSUBSCRIBE closes the connection
    +-- HttpError                a request gets an error status
    +-- FaultError           a fault cannot be switched on
    +-- ControlRequestError      a request on the control channel cannot be served

The errors that commands show (ControlError, CertificateError) are CommandErrors, see `support.errors`. The reasons of
Refused are those of AWS's `Connection.AuthNError` log event (AWS IoT Developer Guide, "CloudWatch Logs AWS IoT log
entries").
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

Reason = Literal[
    "CUSTOM_AUTHORIZER_NOT_FOUND",
    "CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR",
    "CUSTOM_AUTHORIZER_PARAMETER_INVALID",
    "NOT_AUTHENTICATED",
    "SECURITY_TOKEN_SIGNATURE_MISMATCH",
    "SECURITY_TOKEN_INVALID",
    "SNI_MISUSED",
    "DOMAIN_CONFIGURATION_DISABLED",
]

Kind = Literal["timeout", "throttled", "exit", "import", "exception", "answer", "event", "closed"]


class LocalcoreError(Exception):
    """Base class of the local endpoint's errors."""


class SettingError(LocalcoreError, ValueError):
    """A setting that is unknown, of the wrong type or out of range; the text is one line for people."""


class StateFolderError(LocalcoreError):
    """The state folder cannot be used; the text is one line with the next step."""


class Refused(LocalcoreError):
    """The client is not let in.

    Attributes:
        reason: AWS's word for it.
        detail: one line that says what was wrong, without secrets.
        said: the authorizer's log entry about it, if it logs its decisions.
        authorizer: name of the authorizer that was asked; None if none was.
    """

    def __init__(self, reason: Reason, detail: str, said: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail
        self.said = said
        self.authorizer: str | None = None


class FunctionError(LocalcoreError):
    """The function gave no usable answer.

    Attributes:
        kind: `timeout` (no answer within the limit), `throttled` (too many events at once), `exit` (its process ended),
            `import` (the handler cannot be loaded), `exception` (the handler raised), `answer` (not JSON, or too
            large), `event` (not JSON, or too large), `closed` (the function was closed).
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind


class PolicyError(LocalcoreError, ValueError):
    """A policy document that AWS IoT would not accept; the message names the place and the rule."""


class TopicError(LocalcoreError, ValueError):
    """A topic or filter that may not be used; the text is one line for people.

    Attributes:
        malformed: the standard forbids it; otherwise it is a limit of AWS.
    """

    def __init__(self, detail: str, *, malformed: bool = False) -> None:
        super().__init__(detail)
        self.malformed = malformed


class MalformedPacketError(LocalcoreError):
    """A packet that breaks the protocol.

    Attributes:
        reason_code: MQTT 5 reason code for it.
    """

    def __init__(self, detail: str, reason_code: int = 0x81) -> None:
        super().__init__(detail)
        self.reason_code = reason_code


class AdmissionRefusedError(LocalcoreError):
    """A CONNECT that is refused.

    Attributes:
        reason: AWS's word for it.
        detail: one line, without secrets.
        reason_code: MQTT 5 reason code for it.
    """

    def __init__(self, reason: str, detail: str, reason_code: int) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.reason_code = reason_code


class PublishRefusedError(LocalcoreError):
    """A message that is not published.

    Attributes:
        kind: `topic` (no valid topic), `payload` (too large), `policy` (not allowed), `reserved` (an AWS topic).
        detail: one line.
        reason_code: MQTT 5 reason code for it.
    """

    def __init__(self, kind: Literal["topic", "payload", "policy", "reserved"], detail: str, reason_code: int) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.reason_code = reason_code


class SubscribeRefusedError(LocalcoreError):
    """A SUBSCRIBE or UNSUBSCRIBE that closes the connection, with AWS's disconnect reason and an MQTT 5 reason code."""

    def __init__(self, reason: str, detail: str, reason_code: int) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.reason_code = reason_code


class HttpError(LocalcoreError):
    """A request that gets an error answer.

    Attributes:
        status: of the answer.
        message: for the log, without secrets; the client sees only the status.
        reason: AWS's word for the log, if it has one.
        allow: the method to use instead, for a 405.
    """

    def __init__(
        self, status: HTTPStatus, message: str, *, reason: str | None = None, allow: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = f"HTTP_{status.value}" if reason is None else reason
        self.allow = allow


class FaultError(LocalcoreError):
    """A fault that cannot be switched on; the text is one line for people."""


class ControlRequestError(LocalcoreError):
    """A request on the control channel that cannot be served; the text goes back to the client."""
