"""Why a client was not let in: AWS's own reason and one line for a person.

The reasons are those of AWS's `Connection.AuthNError` log event (AWS IoT Developer Guide, "CloudWatch Logs AWS IoT log
entries"). Errors of this part:

    Refused          the client is not let in; has `reason` and `detail`
    FunctionError    (lambda_runtime.py) the Lambda gave no answer; becomes a Refused
    PolicyError      (policy_pattern.py) a policy document is not valid; becomes a Refused
"""

from __future__ import annotations

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


class Refused(Exception):
    """The client is not let in.

    Attributes:
        reason: AWS's word for it.
        detail: one line that says what was wrong, without secrets.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail
