"""The errors of the services, with AWS's names; MQTT and the control calls each report them in their own form."""

from __future__ import annotations

from typing import Any

from mqtt443_tools.localcore.localcore_errors import LocalcoreError


class ServiceError(LocalcoreError):
    """A request that a service refuses.

    Attributes:
        code: the name in the MQTT API, such as `VersionMismatch` (Developer Guide, "AWS IoT jobs API operations").
        message: one line.
        state: the execution's state, for `VersionMismatch` and `InvalidStateTransition`.
    """

    def __init__(self, code: str, message: str, state: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.state = state

    @property
    def exception(self) -> str:
        """The name of the control plane's exception for it."""
        return {"VersionMismatch": "VersionConflict"}.get(self.code, self.code) + "Exception"


def invalid(message: str) -> ServiceError:
    """Return the error for a request that is not valid."""
    return ServiceError("InvalidRequest", message)


def not_found(message: str) -> ServiceError:
    """Return the error for something that does not exist."""
    return ServiceError("ResourceNotFound", message)


def already_exists(message: str) -> ServiceError:
    """Return the error for a name that is taken."""
    return ServiceError("ResourceAlreadyExists", message)
