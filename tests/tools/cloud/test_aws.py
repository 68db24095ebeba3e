"""The way to AWS: what goes wrong there is one line with the next step."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import botocore.exceptions as boto  # type: ignore[import-untyped]
import pytest
import trustme
from mqtt443_tools.cloud import aws
from mqtt443_tools.cloud.aws import MAX_PAGES, MAX_TRIES, Aws, AwsError, open_aws
from mqtt443_tools.support.errors import CommandError, UsageError

from tests.firmware.servers import context, serve_tls
from tests.support.aws.failing import Failing
from tests.support.aws.stubs import Answers, Refuse, new_session


def refused(error: Refuse, service: str = "iot", operation: str = "describe_endpoint") -> AwsError:
    answers = Answers(is_alone=True)
    answers.on(service, operation, error)
    with pytest.raises(AwsError) as raised:
        Aws(answers.session).call(service, operation)
    assert "\n" not in str(raised.value)
    return raised.value


DENIED = (
    "User: arn:aws:iam::123456789012:user/me is not authorized to perform: iot:DescribeEndpoint on resource: * "
    "because no identity-based policy allows the iot:DescribeEndpoint action"
)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Refuse("AccessDeniedException", DENIED, 403), "the permission iot:DescribeEndpoint is missing: add it"),
        (Refuse("UnauthorizedException", "", 401), "the permission iot:DescribeEndpoint is missing: add it"),
        (Refuse("ExpiredTokenException", "", 403), "does not accept the credentials (ExpiredTokenException): log in"),
        (Refuse("UnrecognizedClientException", "", 403), "does not accept the credentials"),
        (Refuse("ThrottlingException", "", 429), "AWS is throttling iot DescribeEndpoint: run the command again in"),
        (Refuse("TooManyRequestsException", "", 429), "AWS is throttling"),
        (Refuse("InternalFailureException", "a\nb", 500), "iot DescribeEndpoint: InternalFailureException: a b"),
    ],
)
def test_each_refusal_says_what_to_do(environment: None, error: Refuse, text: str) -> None:
    found = refused(error)
    assert text in str(found)
    assert found.code == error.code


def test_missing_permission_has_its_iam_name(environment: None) -> None:
    assert "lambda:GetAccountSettings" in str(refused(Refuse("AccessDenied"), "lambda", "get_account_settings"))


def test_long_message_of_aws_is_shortened(environment: None) -> None:
    assert len(str(refused(Refuse("ValidationError", "x" * 10_000)))) < 500


def test_missing_credentials_name_the_login_command(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    aws = Aws(new_session())
    with pytest.raises(AwsError, match="no working AWS credentials: log in with `aws sso login`"):
        _ = aws.account
    with pytest.raises(AwsError, match="no working AWS credentials"):
        aws.credentials()


def test_missing_region_names_the_option(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(UsageError, match="no AWS region is set: add --region"):
        _ = open_aws().account


def test_invalid_region_is_wrong_use(environment: None) -> None:
    with pytest.raises(UsageError, match="europe/west is not a region: add --region"):
        _ = open_aws(region="europe/west").account


def test_unknown_profile_is_wrong_use(environment: None) -> None:
    with pytest.raises(UsageError, match="there is no AWS profile nobody"):
        open_aws(profile="nobody")


def test_unknown_profile_of_the_environment_is_named(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(UsageError, match="there is no AWS profile nobody"):
        open_aws()


def test_unreachable_aws_is_one_line(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws(new_session())
    failing = Failing(boto.EndpointConnectionError(endpoint_url="https://sts.nowhere.invalid"))
    monkeypatch.setattr(aws, "client", lambda _: failing)
    with pytest.raises(AwsError, match="sts in eu-west-1 does not answer: check the network and the region's name"):
        _ = aws.account


def test_any_other_failure_of_boto3_is_one_line_without_its_text(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = Aws(new_session())
    failing = Failing(boto.UnknownServiceError(service_name="s", known_service_names=[]))
    monkeypatch.setattr(aws, "client", lambda _: failing)
    with pytest.raises(AwsError, match=r"^sts get_caller_identity failed: UnknownServiceError$"):
        _ = aws.account


def test_missing_boto3_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "boto3":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CommandError, match=r"needs packages that are not installed: run .*\[cloud\]"):
        open_aws()


def test_every_call_has_a_deadline_and_retries(environment: None) -> None:
    config = Aws(new_session()).client("iot").meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 30)
    assert config.retries == {"mode": "standard", "total_max_attempts": MAX_TRIES}


def test_all_pages_are_read_one_by_one(environment: None) -> None:
    answers = Answers(is_alone=True)
    pages = [{"events": [{"message": str(number)}], "nextToken": str(number)} for number in range(3)]
    answers.on("logs", "filter_log_events", [*pages, {"events": [{"message": "last"}]}])
    items = Aws(answers.session).items("logs", "filter_log_events", "events", logGroupName="log")
    assert next(items)["message"] == "0"
    assert len(answers.calls) == 1
    assert [each["message"] for each in items] == ["1", "2", "last"]


def test_endless_pages_end(environment: None) -> None:
    answers = Answers(is_alone=True)
    tokens = iter(range(10 * MAX_PAGES))
    answers.on("logs", "filter_log_events", lambda **_: {"events": [{}], "nextToken": str(next(tokens))})
    items = Aws(answers.session).items("logs", "filter_log_events", "events", logGroupName="log")
    assert sum(1 for _ in items) == MAX_PAGES


def test_stubs_check_requests_and_answers_against_the_service_model(environment: None) -> None:
    answers = Answers(is_alone=True)
    answers.on("iot", "describe_endpoint", {"endpoint": "x"})
    with pytest.raises(AssertionError, match="AWS cannot answer describe_endpoint so"):
        Aws(answers.session).call("iot", "describe_endpoint")
    with pytest.raises(AwsError, match="ParamValidationError"):
        Aws(answers.session).call("iot", "describe_endpoint", kind="iot:Data-ATS")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("AWS_ENDPOINT_URL", "nonsense", "Invalid endpoint: nonsense: correct or unset AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "iot in eu-west-1 does not answer: check AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL_IOT", "http://127.0.0.1:9", "iot in eu-west-1 does not answer: check AWS_ENDPOINT_URL_IOT"),
        ("HTTPS_PROXY", "http://127.0.0.1:9", "the proxy does not answer: correct HTTPS_PROXY"),
        ("HTTPS_PROXY", "nonsense://x", "the proxy does not answer: correct HTTPS_PROXY"),
    ],
)
def test_address_in_the_environment_that_leads_nowhere_is_named(
    environment: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.setattr(aws, "MAX_TRIES", 1)
    monkeypatch.setenv(name, value)
    with pytest.raises(CommandError) as refusal:
        open_aws(region="eu-west-1").call("iot", "describe_endpoint")
    assert str(refusal.value).startswith(line)
    assert "\n" not in str(refusal.value)


def test_certificate_that_is_not_trusted_is_named(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "MAX_TRIES", 1)
    ca = trustme.CA()
    with serve_tls(ca, context(ca, protocols=()), lambda _: None) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.port}")
        with pytest.raises(AwsError) as refusal:
            open_aws(region="eu-west-1").call("iot", "describe_endpoint")
    assert "certificate verify failed" in str(refusal.value)
    assert str(refusal.value).endswith("set AWS_CA_BUNDLE to the file with its CA")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
@pytest.mark.parametrize("content", [b"[default\nx", b"\xff\xfe"])
def test_config_file_of_aws_that_is_broken_is_named(
    environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, content: bytes
) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(UsageError) as refusal:
        open_aws()
    assert str(refusal.value) == f"Unable to parse config file: {path}: correct the file, or move it away"


def test_region_of_the_environment_is_used(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert open_aws().region == "eu-north-1"
    assert open_aws(region="eu-west-1").region == "eu-west-1"
