"""The policy template, the rules for it, and the policy documents rendered from it for one device.

The template (policy.json, or the file that MQTT443_POLICY names) is one policy document or a list of them. In its
strings, `<client_id>` and `<arn>` (`arn:PARTITION:iot:REGION:ACCOUNT`) are replaced after the JSON is parsed, in one
pass, so a client id can neither change the structure nor introduce a placeholder. A device's own topics are added as
separate documents. AWS evaluates the policies, or mqtt443_tools/localcore/policy/engine.py on your own machine.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.errors import PolicyError

MAX_DOCUMENTS = 10
MAX_DOCUMENT_CHARS = 2048
MAX_TEMPLATE_BYTES = 256 * 1024
DEFAULT_PATH = Path(__file__).with_name("policy.json")

# The longest possible `<arn>` (longest partition, longest region): a document that fits with it fits everywhere.
LONGEST_ARN = "arn:aws-us-gov:iot:ap-southeast-1:000000000000"

Document = dict[str, object]

_PLACEHOLDER = re.compile(r"<([^<>]*)>")
_ACTION = re.compile(r"iot:[A-Za-z]+")
_RESOURCE = re.compile(r"arn:[a-z-]+:iot:[a-z0-9-]+:[0-9]{12}:(client/[^*?$]+|(?!client/)[a-z]+/.+)")
_FUNCTION_ARN = re.compile(r"arn:(aws[a-z-]*):lambda:([a-z0-9-]+):([0-9]{12}):function:.+")
_KEYS = {"Sid", "Effect", "Action", "Resource", "Condition"}
# Escapes non-ASCII characters, which is the longest form in which AWS may count them.
_compact = json.JSONEncoder(separators=(",", ":")).encode


def iot_arn(function_arn: object) -> str:
    """Derive the ARN prefix of IoT resources from the ARN of the invoked Lambda function.

    Returns:
        `arn:PARTITION:iot:REGION:ACCOUNT`.

    Raises:
        PolicyError: `function_arn` is not the ARN of a Lambda function.
    """
    found = _FUNCTION_ARN.fullmatch(function_arn) if isinstance(function_arn, str) else None
    if found is None:
        raise PolicyError("the context has no valid invoked_function_arn, which the policy's ARNs are derived from")
    return "arn:{}:iot:{}:{}".format(*found.groups())


class Template:
    """A checked policy template.

    Args:
        documents: one policy document or a list of them, parsed from JSON.

    Raises:
        PolicyError: the template breaks a rule; the text names the rule, the document and the statement.
    """

    def __init__(self, documents: object) -> None:
        self._documents = documents if isinstance(documents, list) else [documents]
        if not self._documents:
            raise PolicyError("the template has no policy document: AWS requires at least one")
        probe = {"arn": LONGEST_ARN, "client_id": "probe"}
        filled = [_fill(document, probe) for document in self._documents]
        for number, document in enumerate(filled, 1):
            _check_document(document, f"policy document {number}")
        _check_size(filled)

    @classmethod
    def load(cls, path: Path = DEFAULT_PATH) -> "Template":
        """Read and check a template file.

        Raises:
            PolicyError: the file cannot be read, is not JSON, or breaks a rule.
        """
        content = _read(path)
        try:
            return cls(json.loads(content))
        except (ValueError, RecursionError) as error:
            raise PolicyError(f"{path}: not JSON: {error}") from error
        except PolicyError as error:
            raise PolicyError(f"{path}: {error}") from error

    def render(self, device: Device, arn: str) -> list[Document]:
        """Render the policy documents of one device.

        Args:
            device: gives the client id and its own topics.
            arn: prefix of IoT resources, see `iot_arn`.

        Raises:
            PolicyError: there are more than 10 documents, or one has more than 2,048 characters ("AWS IoT Core
                endpoints and quotas"; "Defining your Lambda function" of custom authentication).
        """
        values = {"arn": arn, "client_id": device.client_id}
        documents = [_fill(document, values) for document in self._documents]
        if device.publish:
            documents.append(_document({"iot:Publish": [f"{arn}:topic/{topic}" for topic in device.publish]}))
        if device.subscribe:
            # + and # are literal in a policy. Received messages have topics, so iot:Receive needs policy wildcards.
            topics = [topic_filter.replace("+", "*").replace("#", "*") for topic_filter in device.subscribe]
            documents.append(
                _document(
                    {
                        "iot:Subscribe": [f"{arn}:topicfilter/{topic_filter}" for topic_filter in device.subscribe],
                        "iot:Receive": [f"{arn}:topic/{topic}" for topic in topics],
                    }
                )
            )
        _check_size(documents)
        return documents


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TEMPLATE_BYTES + 1)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}: set MQTT443_POLICY to a policy template") from error
    if len(content) > MAX_TEMPLATE_BYTES:
        raise PolicyError(f"{path}: a policy template may have at most {MAX_TEMPLATE_BYTES} bytes")
    return content


def _document(allowed: dict[str, list[str]]) -> Document:
    statements = [{"Effect": "Allow", "Action": name, "Resource": arns} for name, arns in allowed.items()]
    return {"Version": "2012-10-17", "Statement": statements}


def _fill(value: Any, values: dict[str, str]) -> Any:
    """Return a copy of a JSON value with the placeholders in its strings replaced."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: _lookup(found[1], values), value)
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    return value


def _lookup(name: str, values: dict[str, str]) -> str:
    if name not in values:
        raise PolicyError(f"<{name}> is not a placeholder: use {' or '.join(f'<{known}>' for known in values)}")
    return values[name]


def _check_document(document: object, where: str) -> None:
    if not isinstance(document, dict) or set(document) - {"Version", "Id", "Statement"}:
        raise PolicyError(f"{where} is not an object with Version and Statement")
    if document.get("Version") != "2012-10-17":
        raise PolicyError(f'{where}: Version must be "2012-10-17"')
    statements = document.get("Statement")
    if not isinstance(statements, list) or not statements:
        raise PolicyError(f"{where}: Statement must be a list of at least one statement")
    for number, statement in enumerate(statements, 1):
        _check_statement(statement, f"{where}, statement {number}")


def _check_statement(statement: object, where: str) -> None:
    if not isinstance(statement, dict) or set(statement) - _KEYS:
        raise PolicyError(
            f"{where} is not an object with {', '.join(sorted(_KEYS))} (NotAction and other keys are not supported)"
        )
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"{where}: Effect must be Allow or Deny")
    actions = _strings(statement.get("Action"), f"{where}: Action")
    for action in actions:
        if not _ACTION.fullmatch(action):
            raise PolicyError(f"{where}: the action '{action}' must be a literal name such as iot:Publish")
    if "Condition" in statement and "iot:connect" in {action.lower() for action in actions}:
        raise PolicyError(
            f"{where}: no Condition on iot:Connect: AWS evaluates it again later without the data of the CONNECT"
        )
    for resource in _strings(statement.get("Resource"), f"{where}: Resource"):
        if not _RESOURCE.fullmatch(resource):
            raise PolicyError(
                f"{where}: the resource '{resource}' must be <arn>:KIND/NAME: * alone is never allowed, "
                "and client/ takes no wildcard"
            )


def _strings(value: object, where: str) -> list[str]:
    items = value if isinstance(value, list) else [value]
    strings = [item for item in items if isinstance(item, str)]
    if not strings or len(strings) != len(items):
        raise PolicyError(f"{where} must be a string or a list of strings")
    return strings


def _check_size(documents: Iterable[object]) -> None:
    sizes = [len(_compact(document)) for document in documents]
    if len(sizes) > MAX_DOCUMENTS:
        raise PolicyError(f"the policy has {len(sizes)} documents: AWS allows at most {MAX_DOCUMENTS}")
    for number, size in enumerate(sizes, 1):
        if size > MAX_DOCUMENT_CHARS:
            raise PolicyError(
                f"policy document {number} has {size} characters: AWS allows at most {MAX_DOCUMENT_CHARS}, "
                "so use a shorter client id or fewer topics, or split the document in the template"
            )
