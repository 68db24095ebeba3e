"""Deploys the cloud half to an AWS account; a second run changes only what differs.

There are two stacks. NAME-store holds what must outlive the rest: the device table, and the bucket for the code. NAME
holds the authorizer. With the code in a bucket, CloudFormation owns it: the code is part of the change set, and a
rollback restores the old code, which it would not do after UpdateFunctionCode; inline code is limited to one file.
Everything is found by name or in the stacks themselves, so this machine keeps no state, and the next deploy finishes an
interrupted one.
"""

from pathlib import Path
from typing import Any

from mqtt443_authorizer.policy import DEFAULT_PATH

from mqtt443_tools.cloud import change_sets, domain, iot_authorizer, modes
from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.deploy_options import DEFAULT_MODE, Mode, Options, kept, reserve
from mqtt443_tools.cloud.deployed_policy import deployed_policy, policy_without_updates
from mqtt443_tools.cloud.destroy import delete_authorizer
from mqtt443_tools.cloud.stack_outputs import Deployed, locate
from mqtt443_tools.cloud.stacks import Pace, Stack, Stacks, check_name, store_name
from mqtt443_tools.cloud.token_signing import SigningKey, key_path
from mqtt443_tools.support import lambda_zip
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError, UsageError

TEMPLATE = DEFAULT_PATH.with_name("template.yaml")
STORE_TEMPLATE = DEFAULT_PATH.with_name("store.yaml")


def deploy(
    aws: Aws,
    name: str,
    options: Options,
    *,
    signing: bool | None,
    policy: Path | None,
    state: Path,
    console: Console,
    pace: Pace,
) -> Deployed:
    """Deploy, or finish a deploy, or change one.

    Args:
        aws: account and region.
        name: of the stack and of the authorizer.
        options: the chosen values.
        signing: whether devices bring a signed token; None for as it is, off at first.
        policy: a policy template in place of authorizer/mqtt443_authorizer/policy.json.
        state: folder in which the signing key is kept.
        console: for output and questions.
        pace: the seams of waiting.

    Raises:
        CommandError: the deploy failed; the text has the cause and the next step.
    """
    check_name(name)
    own_policy = None if policy is None else lambda_zip.read_policy(policy)
    console.say(f"account {aws.account}, region {aws.region}, stack {name}")
    stacks = Stacks(aws, console.say, pace)
    before = _ready(aws, stacks, name, console)
    key = _signing_key(aws, name, before, signing, state)
    if before is None and iot_authorizer.describe(aws, name) is not None:
        raise UsageError(f"an authorizer {name} that is not mqtt443's already exists: choose another --stack")
    if own_policy is None:
        own_policy = deployed_policy(aws, before)
    updates = _parameter(before, "Updates") != "false" if options.updates is None else options.updates
    packaged = None if updates else policy_without_updates()
    content = lambda_zip.build(policy=packaged if own_policy is None else own_policy)
    deployed_mode: Any = before.parameters["Mode"] if before else DEFAULT_MODE
    mode: Mode = options.mode or deployed_mode
    if mode == "domain":
        domain.describe(aws, name)  # refuses a foreign one of this name before anything is created
    chosen = options.parameters()
    chosen["Mode"] = mode
    chosen["OwnPolicy"] = "false" if content == lambda_zip.build(policy=packaged) else "true"
    chosen["ReservedConcurrency"] = str(
        reserve(aws, options.concurrency, None if before is None else before.parameters, console.say)
    )
    chosen["PreviousDefaultAuthorizer"] = modes.previous_default(aws, name, mode, before, console)
    chosen["SigningPublicKey"] = key.public_pem if key else _parameter(before, "SigningPublicKey")

    store = _store(stacks, name, console)
    chosen["TableName"], bucket = store.outputs["TableName"], store.outputs["CodeBucket"]
    chosen["CodeBucket"], chosen["CodeKey"] = bucket, lambda_zip.key(content)
    aws.call("s3", "put_object", Bucket=bucket, Key=chosen["CodeKey"], Body=content, ExpectedBucketOwner=aws.account)
    stack = change_sets.apply(stacks, name, TEMPLATE.read_text(), {**kept(before), **chosen}, console)

    is_signed = bool(chosen["SigningPublicKey"])
    iot_authorizer.verify(aws, name, stack.outputs["FunctionName"], signing=is_signed)
    modes.activate(aws, stack, mode, console, pace)
    if is_signed and key is None:
        console.say("smoke test skipped: the key that signs the tokens is not on this machine")
    else:
        console.say(iot_authorizer.smoke_test(aws, name, key))
    return locate(aws, name, stack)


def _store(stacks: Stacks, name: str, console: Console) -> Stack:
    store = stacks.settled(store_name(name))
    if store is not None and store.is_dead:
        if store.status == "DELETE_FAILED":  # the devices were to be deleted; a deploy must not undo that
            raise CommandError(
                f"stack {store.name} is half deleted: run `mqtt443 cloud destroy --stack {name} --delete-table` first"
            )
        console.say(f"stack {store.name}: deleting what a failed run left behind ({store.status})")
        stacks.delete(store)
    store = change_sets.apply(stacks, store_name(name), STORE_TEMPLATE.read_text(), {}, console)
    stacks.protect(store.name, on=True)
    return store


def _ready(aws: Aws, stacks: Stacks, name: str, console: Console) -> Stack | None:
    """Return the authorizer's stack, None if it must be created; a failed first deploy is deleted."""
    stack = stacks.settled(name)
    if stack is not None and stack.is_dead:
        console.say(f"stack {name}: deleting what a failed run left behind ({stack.status})")
        delete_authorizer(aws, stacks, stack, console)
        return None
    return None if stack is None or stack.is_new else stack


def _signing_key(aws: Aws, name: str, before: Stack | None, signing: bool | None, state: Path) -> SigningKey | None:
    """Return the key that signs tokens, created if needed; None without signing, or if the key is elsewhere."""
    deployed = _parameter(before, "SigningPublicKey")
    if before is not None and signing is not None and signing != bool(deployed):
        raise UsageError(
            f"AWS cannot switch the token signing of an authorizer {'on' if signing else 'off'}: deploy a second one "
            "with another --stack, or destroy this one first (it keeps the devices)"
        )
    if not (deployed or signing):
        return None
    path = key_path(state, name, aws.account, aws.region)
    try:
        key = SigningKey.load(path)
    except FileNotFoundError:
        return None if deployed else SigningKey.make(path)
    if deployed and key.public_pem.split() != deployed.split():
        raise CommandError(f"{path}: not the key that signs this stack's tokens: move it away")
    return key


def _parameter(stack: Stack | None, name: str) -> str:
    return stack.parameters.get(name, "") if stack else ""
