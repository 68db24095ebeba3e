"""Every call to AWS: with a deadline, retried as AWS asks, its errors turned into one line.

The other modules know what the calls are for. Credentials are left to boto3 and never looked at.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.extras import missing_extra

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
MAX_TRIES = 6
MAX_PAGES = 1000
MAX_MESSAGE_CHARS = 400

_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "ForbiddenException",
    "UnauthorizedException",
    "UnauthorizedOperation",
}
_BAD_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")
_IAM_PREFIXES = {"iot-data": "iot"}
_ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL"


class AwsError(CommandError):
    """AWS refused or failed; the text is the whole message for a person.

    Attributes:
        code: AWS's error code, such as `ResourceNotFoundException`.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def missing_permission(text: str) -> str | None:
    """Find the IAM action that AWS says is missing, such as `iam:CreateRole`."""
    found = _ACTION.search(text)
    return found[1] if found else None


class Aws:
    """One account and region.

    Args:
        session: a boto3 session.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._clients: dict[str, Any] = {}
        self._lock = threading.RLock()  # a boto3 session makes one client at a time

    @property
    def region(self) -> str:
        """The region, such as eu-west-1. Raises UsageError if none is set."""
        region = self._session.region_name
        if not region:
            raise UsageError("no AWS region is set: add --region, such as --region eu-west-1, or set AWS_REGION")
        return str(region)

    @cached_property
    def account(self) -> str:
        """The account's 12 digits; the first call, so it also shows whether the credentials work."""
        return str(self.call("sts", "get_caller_identity")["Account"])

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation.

        Args:
            service: as boto3 names it; `iot-data` is the data plane at the account's own endpoint.
            operation: as boto3 names it, such as `describe_authorizer`.
            **parameters: of the operation.

        Returns:
            AWS's answer.

        Raises:
            AwsError: AWS refused, or cannot be reached.
        """
        return dict(self._reported(service, operation, lambda client: getattr(client, operation)(**parameters)))

    def find(self, service: str, operation: str, *not_found: str, **parameters: Any) -> dict[str, Any] | None:
        """Call an operation, and return None where it answers with one of these error codes.

        Default: ResourceNotFoundException. Raises AwsError for all others.
        """
        try:
            return self.call(service, operation, **parameters)
        except AwsError as error:
            if error.code in (not_found or ("ResourceNotFoundException",)):
                return None
            raise

    def items(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
        """Yield the items of all pages, at most 1,000 pages; fetches each page when it is needed.

        Args:
            service: see `call`.
            operation: see `call`.
            key: of the items in a page.
            **parameters: of the operation.

        Raises:
            AwsError: as `call`.
        """
        pages = self._reported(
            service, operation, lambda client: iter(client.get_paginator(operation).paginate(**parameters))
        )
        for _ in range(MAX_PAGES):
            page = self._reported(service, operation, lambda _: next(pages, None))
            if page is None:
                return
            yield from page.get(key, ())

    def credentials(self) -> Any:
        """Return boto3's credentials, for a library that signs by itself. Raises AwsError if there are none."""
        found = self._session.get_credentials()
        if found is None:
            raise _no_credentials()
        return found.get_frozen_credentials()

    def client(self, service: str) -> Any:
        """Return a boto3 client, for code that calls AWS by itself."""
        with self._lock:
            if service not in self._clients:
                from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415  loaded for AWS only

                config = Config(
                    connect_timeout=CONNECT_TIMEOUT_S,
                    read_timeout=READ_TIMEOUT_S,
                    retries={"mode": "standard", "total_max_attempts": MAX_TRIES},
                    user_agent_appid="mqtt443",
                )
                options = {"region_name": self.region, "config": config}
                if service == "iot-data":
                    endpoint = self.call("iot", "describe_endpoint", endpointType="iot:Data-ATS")["endpointAddress"]
                    options["endpoint_url"] = f"https://{endpoint}"
                self._clients[service] = self._session.client(service, **options)
            return self._clients[service]

    def _reported(self, service: str, operation: str, use: Callable[[Any], Any]) -> Any:
        import botocore.exceptions as boto  # type: ignore[import-untyped]  # noqa: PLC0415  loaded for AWS only

        try:
            return use(self.client(service))
        except boto.ClientError as error:
            raise _explain(service, operation, error.response["Error"]) from error
        except boto.ProxyConnectionError as error:
            raise AwsError(
                "Unreachable", "the proxy does not answer: correct HTTPS_PROXY, or add AWS's hosts to NO_PROXY"
            ) from error
        except boto.SSLError as error:
            reason = " ".join(str(error).split())
            raise AwsError(
                "Unreachable",
                f"{reason}; if a proxy inspects TLS here, set AWS_CA_BUNDLE to the file with its CA",
            ) from error
        except (boto.EndpointConnectionError, boto.HTTPClientError) as error:
            raise AwsError(
                "Unreachable",
                f"{service} in {self.region} does not answer: check {_way()}, then run the command again",
            ) from error
        except boto.InvalidRegionError as error:
            raise UsageError(f"{self.region} is not a region: add --region, such as --region eu-west-1") from error
        except (
            boto.NoCredentialsError,
            boto.PartialCredentialsError,
            boto.CredentialRetrievalError,
            boto.TokenRetrievalError,
            boto.SSOError,
        ) as error:
            raise _no_credentials() from error
        except boto.BotoCoreError as error:
            raise AwsError(type(error).__name__, f"{service} {operation} failed: {type(error).__name__}") from error
        except ValueError as error:  # boto3's own, for an address that is not one
            name = _endpoint_variable() or _ENDPOINT_VARIABLE
            raise UsageError(f"{' '.join(str(error).split())}: correct or unset {name}") from error


def _endpoint_variable() -> str | None:
    """Find the environment variable that sends boto3 elsewhere than to AWS: AWS_ENDPOINT_URL or one per service."""
    return next((name for name, value in os.environ.items() if name.startswith(_ENDPOINT_VARIABLE) and value), None)


def _way() -> str:
    return _endpoint_variable() or "the network and the region's name"


def _no_credentials() -> AwsError:
    return AwsError(
        "NoCredentials",
        "no working AWS credentials: log in with `aws sso login` or `aws configure`, and name the profile with "
        "--profile or AWS_PROFILE",
    )


def _explain(service: str, operation: str, error: dict[str, Any]) -> AwsError:
    code, message = str(error.get("Code", "")), " ".join(str(error.get("Message", "")).split())
    name = "".join(word.capitalize() for word in operation.split("_"))
    if code in _DENIED or missing_permission(message):
        action = missing_permission(message) or f"{_IAM_PREFIXES.get(service, service)}:{name}"
        return AwsError(
            code, f"the permission {action} is missing: add it to your IAM user or role (the list is in docs/aws.md)"
        )
    if code in _BAD_CREDENTIALS:
        return AwsError(code, f"AWS does not accept the credentials ({code}): log in again, then run the command again")
    if "Throttl" in code or code in {"TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}:
        return AwsError(code, f"AWS is throttling {service} {name}: run the command again in a minute")
    return AwsError(code, f"{service} {name}: {code}: {message[:MAX_MESSAGE_CHARS]}")


def open_aws(profile: str | None = None, region: str | None = None) -> Aws:
    """Open the account that the environment, or a profile, names.

    Raises:
        CommandError: boto3 is not installed, the profile does not exist, or the AWS config file is broken.
    """
    try:
        import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  an extra
        from botocore.exceptions import BotoCoreError, ProfileNotFound  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra("a command for AWS", "cloud") from error
    try:
        # boto3 itself reads AWS_DEFAULT_REGION alone.
        return Aws(boto3.Session(profile_name=profile, region_name=region or os.environ.get("AWS_REGION")))
    except ProfileNotFound as error:
        name = error.kwargs["profile"]  # also one that AWS_PROFILE names
        raise UsageError(f"there is no AWS profile {name}: see `aws configure list-profiles`") from error
    except BotoCoreError as error:  # a config file that cannot be parsed
        raise UsageError(f"{' '.join(str(error).split())}: correct the file, or move it away") from error
