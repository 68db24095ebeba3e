"""Removing the cloud half: in which order, what stays, and that it can be interrupted anywhere."""

from __future__ import annotations

import pytest
from mqtt443_tools.support.errors import CommandError

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.change_sets import set_status

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")


def tables(cloud: Cloud) -> list[str]:
    found: list[str] = cloud.client("dynamodb").list_tables()["TableNames"]
    return found


def buckets(cloud: Cloud) -> list[str]:
    return [each["Name"] for each in cloud.client("s3").list_buckets()["Buckets"]]


def test_destroy_deletes_the_authorizer_and_keeps_the_devices(cloud: Cloud) -> None:
    table = cloud.deploy().table
    cloud.destroy()
    assert list(cloud.stacks()) == ["mqtt443-store"]
    assert tables(cloud) == [table]
    assert (cloud.iot.authorizers, cloud.iot.default) == ({}, None)
    assert cloud.said[-1] == "mqtt443 was deleted"


def test_deploy_after_destroy_finds_the_devices_again(cloud: Cloud) -> None:
    table = cloud.deploy().table
    cloud.destroy()
    assert cloud.deploy().table == table


def test_delete_table_deletes_everything(cloud: Cloud) -> None:
    cloud.deploy()
    cloud.destroy(delete_table=True)
    assert (cloud.stacks(), tables(cloud), buckets(cloud)) == ({}, [], [])
    assert cloud.protected == {"mqtt443-store": False}


def test_devices_can_be_deleted_later(cloud: Cloud) -> None:
    cloud.deploy()
    cloud.destroy()
    cloud.destroy(delete_table=True)
    assert (cloud.stacks(), tables(cloud), buckets(cloud)) == ({}, [], [])


def test_wrong_name_deletes_nothing(cloud: Cloud) -> None:
    cloud.deploy()
    with pytest.raises(CommandError, match="nothing was deleted"):
        cloud.destroy(confirm=False)
    assert set(cloud.stacks()) == {STACK, "mqtt443-store"}
    assert cloud.iot.authorizers[STACK]["status"] == "ACTIVE"


def test_missing_stack_names_the_region(cloud: Cloud) -> None:
    with pytest.raises(CommandError, match="there is no stack mqtt443 in eu-west-1: try another --region"):
        cloud.destroy()


STEPS = [
    ("iot", "clear_default_authorizer", 0),
    ("iot", "update_authorizer", 0),
    ("cloudformation", "delete_stack", 0),
    ("dynamodb", "delete_table", 0),
    ("s3", "delete_objects", 0),
    ("cloudformation", "update_termination_protection", 0),
    ("cloudformation", "delete_stack", 1),
]


@pytest.mark.parametrize(("service", "operation", "number"), STEPS, ids=[f"{one}-{n}" for _, one, n in STEPS])
def test_destroy_interrupted_before_any_step_is_finished_by_the_next(
    cloud: Cloud, service: str, operation: str, number: int
) -> None:
    cloud.deploy()
    with cloud.answers.interrupted(service, operation, number):
        cloud.destroy(delete_table=True)
    cloud.destroy(delete_table=True)
    assert (cloud.stacks(), tables(cloud), buckets(cloud)) == ({}, [], [])


def test_stack_whose_deletion_failed_is_deleted_again(cloud: Cloud) -> None:
    cloud.deploy()
    set_status(STACK, "DELETE_FAILED")
    cloud.destroy()
    assert list(cloud.stacks()) == ["mqtt443-store"]


def test_table_deleted_elsewhere_does_not_stop_destroy(cloud: Cloud) -> None:
    table = cloud.deploy().table
    cloud.client("dynamodb").delete_table(TableName=table)
    cloud.destroy(delete_table=True)
    assert cloud.stacks() == {}


def test_another_deployment_is_left_alone(cloud: Cloud) -> None:
    cloud.deploy()
    other = cloud.deploy(stack="garden", mode="named")
    cloud.destroy(delete_table=True)
    assert set(cloud.stacks()) == {"garden", "garden-store"}
    assert tables(cloud) == [other.table]
