"""Validates the answer of the authorizer's Lambda field by field before it is used.

Source: AWS IoT Developer Guide, "Defining your Lambda function". Where it is silent, these rules
apply: the limit of 2,048 characters covers the whole text of a document, as compact JSON if the document is an object;
an answer may be a JSON string that contains the object; other fields (`context`, `password`) are ignored; a value out
of range is refused. Every fault is CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR; its detail names the field and the rule,
never the value.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from mqtt443_tools.localcore.localcore_errors import PolicyError, Refused
from mqtt443_tools.localcore.policy.engine import PolicySet

PRINCIPAL_ID = re.compile(r"[a-zA-Z0-9]{1,128}")
MAX_DOCUMENTS = 10
MAX_DOCUMENT_CHARACTERS = 2048
MIN_SECONDS = 300
MAX_SECONDS = 86_400
DEFAULT_DISCONNECT_S = 86_400


@dataclass(frozen=True)
class Answer:
    """A valid answer that accepts the client; times in seconds, 300..86,400."""

    principal_id: str
    policies: PolicySet
    disconnect_after_s: int
    refresh_after_s: int


def parse_answer(answer: object, *, default_refresh_s: int) -> Answer:
    """Validate what the handler returned.

    Args:
        answer: any JSON value.
        default_refresh_s: used if the answer has no refreshAfterInSeconds.

    Raises:
        Refused: NOT_AUTHENTICATED if isAuthenticated is false (the rest is then ignored), else
            CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR.
    """
    fields = _parse_json(answer, "the answer") if isinstance(answer, str) else answer
    if not isinstance(fields, dict):
        raise _fault("the answer must be an object")
    authenticated = fields.get("isAuthenticated")
    if not isinstance(authenticated, bool):
        raise _fault("isAuthenticated must be true or false")
    if not authenticated:
        raise Refused("NOT_AUTHENTICATED", "the authorizer refused (isAuthenticated false)")
    principal_id = fields.get("principalId")
    if not isinstance(principal_id, str) or not PRINCIPAL_ID.fullmatch(principal_id):
        raise _fault("principalId must be 1..128 characters of a-z, A-Z, 0-9")
    return Answer(
        principal_id,
        _parse_policies(fields.get("policyDocuments")),
        _seconds(fields, "disconnectAfterInSeconds", DEFAULT_DISCONNECT_S),
        _seconds(fields, "refreshAfterInSeconds", default_refresh_s),
    )


def _parse_policies(documents: object) -> PolicySet:
    if not isinstance(documents, list) or not 1 <= len(documents) <= MAX_DOCUMENTS:
        raise _fault(f"policyDocuments must be a list of 1..{MAX_DOCUMENTS} policy documents")
    parsed = [_parse_document(document, f"policyDocuments[{at}]") for at, document in enumerate(documents)]
    if not _fit_together(documents):  # else each of them fits
        for at, document in enumerate(documents):
            _check_length(document, f"policyDocuments[{at}]")
    try:
        return PolicySet.from_documents(parsed)
    except PolicyError as error:
        raise _fault(f"policyDocuments: {error}") from None


def _parse_document(document: object, name: str) -> object:
    return _parse_json(document, name) if isinstance(document, str) else document


def _fit_together(documents: list[object]) -> bool:
    try:
        return _compact_length(documents, "policyDocuments") <= MAX_DOCUMENT_CHARACTERS
    except Refused:  # the check of each document says which one it is
        return False


def _check_length(document: object, name: str) -> None:
    characters = len(document) if isinstance(document, str) else _compact_length(document, name)
    if characters > MAX_DOCUMENT_CHARACTERS:
        raise _fault(f"{name} has {characters:,} characters, at most {MAX_DOCUMENT_CHARACTERS:,} are allowed")


def _compact_length(document: object, name: str) -> int:
    try:
        return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    except (ValueError, RecursionError):
        raise _fault(f"{name} cannot be written as JSON") from None


def _parse_json(text: str, name: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        raise _fault(f"{name} is a string that is not valid JSON") from None
    return value


def _seconds(fields: dict[str, object], name: str, default: int) -> int:
    value = fields.get(name, default)
    # Python counts true and false as 1 and 0, which are out of range.
    if not isinstance(value, int) or not MIN_SECONDS <= value <= MAX_SECONDS:
        raise _fault(f"{name} must be a whole number of seconds, {MIN_SECONDS}..{MAX_SECONDS:,}")
    return value


def _fault(rule: str) -> Refused:
    return Refused("CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR", f"the Lambda's answer is not valid: {rule}")
