"""Takes the cloud half away, in an order in which every step can be the last: the next run goes on from there."""

from collections.abc import Callable
from datetime import datetime

from mqtt443_tools.cloud import domain, iot_authorizer
from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.stacks import Pace, Stack, Stacks, check_name, store_name
from mqtt443_tools.cloud.talk import Talk
from mqtt443_tools.support.errors import CommandError

MAX_DELETED = 1000  # objects a DeleteObjects call takes


def destroy(
    aws: Aws,
    name: str,
    *,
    delete_table: bool,
    confirm: Callable[[str], bool],
    talk: Talk,
    pace: Pace,
    now: datetime,
) -> None:
    """Delete the authorizer's stack, and with `delete_table` the devices too.

    :param confirm: asks for the stack's name; gives whether it was right
    :param now: with a time zone
    :raises CommandError: what is in the way, and the next step
    """
    check_name(name)
    talk.say(f"account {aws.account}, region {aws.region}, stack {name}")
    stacks = Stacks(aws, talk.say, pace)
    stack, store = stacks.settled(name), stacks.settled(store_name(name))
    if stack is None and store is None and domain.describe(aws, name) is None:
        raise CommandError(f"there is no stack {name} in {aws.region}: look with --region in another region")
    what = "and all its devices" if delete_table else "but keep its devices"
    if not confirm(f"Take {name} away {what}"):
        raise CommandError(f"{name} stays as it is")
    rest = domain.take_away(aws, name, now)
    if stack is not None:
        delete_authorizer(aws, stacks, stack, talk)
    if store is not None and delete_table:
        _delete_store(aws, stacks, store, talk)
    elif store is not None:
        talk.say(f"the devices stay in stack {store.name}: a deploy finds them again, --delete-table deletes them too")
    talk.say(rest or f"{name} is taken away")


def delete_authorizer(aws: Aws, stacks: Stacks, stack: Stack, talk: Talk) -> None:
    """Delete the authorizer's stack; before that the default authorizer goes back, and this one is switched off."""
    if not stack.is_new:
        said = iot_authorizer.give_back_default(aws, stack.name, stack.parameters.get("PreviousDefaultAuthorizer", ""))
        if said:
            talk.say(said)
        if any(each["LogicalResourceId"] == "Authorizer" for each in stacks.resources(stack.name)):
            iot_authorizer.deactivate(aws, stack.name)
    stacks.delete(stack)
    talk.say(f"stack {stack.name} is deleted")


def _delete_store(aws: Aws, stacks: Stacks, store: Stack, talk: Talk) -> None:
    """The table first: as long as its stack is there, the next run can find it."""
    if table := store.outputs.get("TableName"):
        aws.find("dynamodb", "delete_table", TableName=table)
    if bucket := store.outputs.get("CodeBucket"):
        _empty(aws, bucket)
    stacks.protect(store.name, on=False)
    stacks.delete(store)
    talk.say(f"stack {store.name} and the devices in it are deleted")


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
