"""Deletes the cloud half, in an order in which any step may be the last: the next run continues from there."""

from datetime import datetime

from mqtt443_tools.cloud import domain, iot_authorizer
from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.stacks import Pace, Stack, Stacks, check_name, store_name
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError

MAX_DELETED = 1000  # objects a DeleteObjects call takes


def destroy(
    aws: Aws,
    name: str,
    *,
    delete_table: bool,
    console: Console,
    pace: Pace,
    now: datetime,
) -> None:
    """Delete the authorizer's stack, and with `delete_table` the devices too.

    Args:
        aws: account and region.
        name: of the stack.
        delete_table: also delete the devices.
        console: for output and questions.
        pace: the seams of waiting.
        now: with a time zone.

    Raises:
        CommandError: it failed; the text has the cause and the next step.
    """
    check_name(name)
    console.say(f"account {aws.account}, region {aws.region}, stack {name}")
    stacks = Stacks(aws, console.say, pace)
    stack, store = stacks.settled(name), stacks.settled(store_name(name))
    if stack is None and store is None and domain.describe(aws, name) is None:
        raise CommandError(f"there is no stack {name} in {aws.region}: try another --region")
    what = "and all its devices" if delete_table else "but keep its devices"
    if not console.confirm_name(f"Delete {name} {what}? Type the name of the stack to confirm", name):
        raise CommandError("nothing was deleted")
    rest = domain.delete(aws, name, now)
    if stack is not None:
        delete_authorizer(aws, stacks, stack, console)
    if store is not None and delete_table:
        _delete_store(aws, stacks, store, console)
    elif store is not None:
        console.say(
            f"the devices are kept in stack {store.name}: the next deploy uses them, --delete-table deletes them"
        )
    console.say(rest or f"{name} was deleted")


def delete_authorizer(aws: Aws, stacks: Stacks, stack: Stack, console: Console) -> None:
    """Delete the authorizer's stack, after restoring the default authorizer and deactivating this one."""
    if not stack.is_new:
        done = iot_authorizer.give_back_default(aws, stack.name, stack.parameters.get("PreviousDefaultAuthorizer", ""))
        if done:
            console.say(done)
        if any(each["LogicalResourceId"] == "Authorizer" for each in stacks.resources(stack.name)):
            iot_authorizer.deactivate(aws, stack.name)
    stacks.delete(stack)
    console.say(f"stack {stack.name} was deleted")


def _delete_store(aws: Aws, stacks: Stacks, store: Stack, console: Console) -> None:
    """Delete the table first: while its stack exists, the next run can find it."""
    if table := store.outputs.get("TableName"):
        aws.find("dynamodb", "delete_table", TableName=table)
    if bucket := store.outputs.get("CodeBucket"):
        _empty(aws, bucket)
    stacks.protect(store.name, on=False)
    stacks.delete(store)
    console.say(f"stack {store.name} and the devices in it were deleted")


def _empty(aws: Aws, bucket: str) -> None:
    if aws.find("s3", "head_bucket", "404", "NoSuchBucket", Bucket=bucket) is None:
        return
    owned = {"Bucket": bucket, "ExpectedBucketOwner": aws.account}
    keys = [{"Key": each["Key"]} for each in aws.items("s3", "list_objects_v2", "Contents", **owned)]
    for start in range(0, len(keys), MAX_DELETED):
        batch = {"Objects": keys[start : start + MAX_DELETED], "Quiet": True}
        errors = aws.call("s3", "delete_objects", Delete=batch, **owned).get("Errors")
        if errors:
            raise CommandError(f"bucket {bucket}: {errors[0].get('Code')}: run the command again")
