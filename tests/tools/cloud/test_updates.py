"""Updates over the air in an account: what deploy adds and leaves out, and the job that `update` makes.

moto plays S3, IAM and CloudFormation; it has no streams and no rollout, so those calls are recorded and held against
botocore's model.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator  # type: ignore[import-untyped]
from mqtt443_tools.cloud.aws_jobs import PREFIX, AwsJobs
from mqtt443_tools.cloud.deployed_policy import policy_without_updates
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.lambda_zip import build, key
from mqtt443_tools.support.options import place_options
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.update.changes import changes
from mqtt443_tools.update.end_job import clean_up
from mqtt443_tools.update.follow_job import JobState
from mqtt443_tools.update.job_documents import Update, config_update
from mqtt443_tools.update.start_job import Rollout, start_job

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.stubs import ACCOUNT, Refuse
from tests.tools.cloud.test_deploy import parameters

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")  # what moto has not got
BUNDLE = bytes(range(256)) * 4
JOB = "update-20261127T200000-0123ab"
FILES_DOCUMENT = {"mqtt443": 1, "action": "files", "bundle": {"stream": JOB}}
ENDED = JobState("COMPLETED", {"done": 1}, "")


def outputs(cloud: Cloud) -> dict[str, str]:
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def resources(cloud: Cloud) -> set[str]:
    found = cloud.client("cloudformation").list_stack_resources(StackName=STACK)["StackResourceSummaries"]
    return {each["LogicalResourceId"] for each in found}


def deployed_policy(cloud: Cloud) -> Any:
    found = parameters(cloud)
    body = cloud.client("s3").get_object(Bucket=found["CodeBucket"], Key=found["CodeKey"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return json.loads(archive.read("mqtt443_authorizer/policy.json"))


@pytest.fixture
def calls(cloud: Cloud) -> Iterator[dict[str, dict[str, Any]]]:
    """The parameters of the calls that moto cannot play, by operation, each valid by botocore's model."""
    made: dict[str, dict[str, Any]] = {}

    def play(operation: str, answer: dict[str, Any]) -> None:
        def record(**params: Any) -> dict[str, Any]:
            model = cloud.client("iot").meta.service_model.operation_model(
                "".join(word.capitalize() for word in operation.split("_"))
            )
            problems = ParamValidator().validate(params, model.input_shape)
            assert not problems.has_errors(), problems.generate_report()
            made[operation] = params
            return answer

        cloud.answers.on("iot", operation, record)

    play("create_job", {})
    play("create_stream", {})
    play("delete_stream", {})
    play("delete_thing_group", {})
    play("delete_job", {})
    play("get_job_document", {"document": json.dumps(FILES_DOCUMENT)})
    yield made


def start(cloud: Cloud, bundle: bytes, *devices: str) -> None:
    update = Update("files", {}, "files", bundle)
    start_job(AwsJobs(cloud.aws, STACK), "update-1", devices, update, Rollout(), progress=lambda *_: None)


def test_first_deploy_shows_the_role_before_it_is_asked_for(cloud: Cloud) -> None:
    seen: list[str] = []

    def agree(_: str) -> bool:
        seen.extend(cloud.said)
        return True

    cloud.agrees = agree
    cloud.deploy()
    assert "  add    StreamsRole (AWS::IAM::Role)" in seen
    found = outputs(cloud)
    assert found["UpdatesBucket"] == parameters(cloud)["CodeBucket"]
    assert found["StreamsRoleArn"].startswith(f"arn:aws:iam::{ACCOUNT}:role/mqtt443-")


def test_no_updates_leaves_out_the_role_and_the_topics_and_is_kept(cloud: Cloud) -> None:
    cloud.deploy(updates=False)
    assert "StreamsRole" not in resources(cloud)
    assert not {"UpdatesBucket", "StreamsRoleArn"} & set(outputs(cloud))
    assert "$aws" not in json.dumps(deployed_policy(cloud))
    assert parameters(cloud)["OwnPolicy"] == "false"
    cloud.deploy()
    assert cloud.asked == []
    cloud.deploy(updates=True)
    assert "$aws/things/<client_id>/jobs/*" in json.dumps(deployed_policy(cloud))
    assert parameters(cloud)["CodeKey"] == key(build())
    assert "StreamsRoleArn" in outputs(cloud)
    assert "StreamsRole" in resources(cloud)


def test_policy_without_updates_is_the_package_s_without_the_topics_of_jobs() -> None:
    documents = json.loads(policy_without_updates())
    assert [each["Statement"][0]["Action"] for each in documents] == ["iot:Connect", "iot:Subscribe"]


def test_job_with_files_gets_things_an_object_a_stream_and_its_role(
    cloud: Cloud, calls: dict[str, dict[str, Any]]
) -> None:
    cloud.deploy()
    cloud.client("iot").create_thing(thingName="dev-1")
    start(cloud, BUNDLE, "dev-1", "dev-2")
    for name in ("dev-1", "dev-2"):
        assert cloud.client("iot").describe_thing(thingName=name)["thingName"] == name
    found = outputs(cloud)
    stored = cloud.client("s3").get_object(Bucket=found["UpdatesBucket"], Key=f"{PREFIX}update-1.bundle")
    assert stored["Body"].read() == BUNDLE
    stream, job = calls["create_stream"], calls["create_job"]
    assert stream["roleArn"] == found["StreamsRoleArn"]
    assert stream["files"][0]["s3Location"] == {"bucket": found["UpdatesBucket"], "key": f"{PREFIX}update-1.bundle"}
    assert job["targets"] == [f"arn:aws:iot:eu-west-1:{ACCOUNT}:thing/dev-{number}" for number in (1, 2)]
    assert json.loads(job["document"])["bundle"]["stream"] == stream["streamId"]
    assert job["abortConfig"]["criteriaList"][0]["minNumberOfExecutedThings"] == 1


def objects(cloud: Cloud) -> list[str]:
    found = cloud.client("s3").list_objects_v2(Bucket=outputs(cloud)["UpdatesBucket"], Prefix=PREFIX)
    return [each["Key"] for each in found.get("Contents", [])]


def test_what_a_job_needed_is_removed_when_it_has_ended(cloud: Cloud, calls: dict[str, dict[str, Any]]) -> None:
    cloud.deploy()
    service = AwsJobs(cloud.aws, STACK)
    service.store(f"{JOB}.bundle", BUNDLE)
    assert not clean_up(service, JOB, JobState("IN_PROGRESS", {"waiting": 1}, ""))
    assert not clean_up(service, "somebody-else-s", ENDED)
    assert calls == {}
    assert not clean_up(service, JOB, ENDED)
    assert calls["delete_stream"] == {"streamId": JOB}
    assert calls["delete_thing_group"] == {"thingGroupName": JOB}
    assert "delete_job" not in calls
    assert objects(cloud) == []


def test_job_whose_document_holds_a_secret_is_deleted(cloud: Cloud, calls: dict[str, dict[str, Any]]) -> None:
    cloud.deploy()
    document = {"mqtt443": 1, "action": "config", "set": {"wifi.password": "hunter2"}}
    cloud.answers.on("iot", "get_job_document", {"document": json.dumps(document)})
    assert clean_up(AwsJobs(cloud.aws, STACK), JOB, ENDED)
    assert calls["delete_job"] == {"jobId": JOB}
    assert "delete_stream" not in calls


def test_dry_run_reads_the_jobs_of_the_account(cloud: Cloud) -> None:
    document = {"mqtt443": 1, "action": "config", "set": {"interval_s": 60}}
    succeeded = {"thingArn": f"arn:aws:iot:eu-west-1:{ACCOUNT}:thing/dev-1", "jobExecutionSummary": {}}
    cloud.answers.on("iot", "list_jobs", {"jobs": [{"jobId": JOB}, {"jobId": "somebody-else-s"}]})
    cloud.answers.on("iot", "get_job_document", {"document": json.dumps(document)})
    cloud.answers.on("iot", "list_job_executions_for_job", {"executionSummaries": [succeeded]})
    update = config_update(["interval_s=30"], (), None)
    found = changes(AwsJobs(cloud.aws, STACK), ["dev-1", "dev-2"], update, {})
    assert [(each.client_ids, each.text) for each in found] == [
        (["dev-1"], "interval_s 60 -> 30"),
        (["dev-2"], "unknown: no earlier update set it"),
    ]
    (asked,) = cloud.answers.of("list_job_executions_for_job")
    assert asked.parameters == {"jobId": JOB, "status": "SUCCEEDED", "maxResults": 250}


def test_object_and_stream_go_where_the_job_cannot_be_made(cloud: Cloud, calls: dict[str, dict[str, Any]]) -> None:
    cloud.deploy()
    cloud.answers.on("iot", "create_job", Refuse("LimitExceededException", "too many jobs"))
    with pytest.raises(CommandError, match="too many jobs"):
        start(cloud, BUNDLE, "dev-1")
    assert calls["delete_stream"] == {"streamId": "update-1"}
    assert objects(cloud) == []


def test_files_for_a_stack_without_updates_are_refused_before_a_job_exists(
    cloud: Cloud, calls: dict[str, dict[str, Any]]
) -> None:
    cloud.deploy(updates=False)
    with pytest.raises(CommandError, match=r"cannot send files to boards: run `mqtt443 cloud deploy --stack mqtt443`"):
        start(cloud, BUNDLE, "dev-1")
    assert calls == {}


def test_stack_that_does_not_exist_is_named(cloud: Cloud) -> None:
    with pytest.raises(CommandError, match="there is no deployed stack mqtt443 in eu-west-1"):
        start(cloud, BUNDLE, "dev-1")


def test_suggested_commands_lead_to_the_same_place() -> None:
    state = Path("my state")
    assert place_options(state, None, "eu-west-1", "p") == " --state 'my state'"
    assert place_options(state, "s", "eu-west-1", "p q") == " --stack s --region eu-west-1 --profile 'p q'"
    assert place_options(state, "s", None, None) == " --stack s"
    assert place_options(STATE, None, None, None) == "", "the default"
