"""Turns an AWS account into the cloud half, as often as wanted: a second run changes what differs and nothing else.

Two stacks. NAME-store has what must outlive the rest: the table of the devices, and the bucket for the code. NAME has
the authorizer. The bucket is there because CloudFormation then owns the code: it is in the change set, and a roll back
brings the old code back, which code that is uploaded behind CloudFormation's back (UpdateFunctionCode) does not; and
inline code is limited to one file. Everything is found by name or in the stacks themselves, so that no state is kept on
this machine, and an interrupted deploy is finished by the next one.
"""

from pathlib import Path
from typing import Any

from mqtt443_authorizer.policy import DEFAULT_PATH

from mqtt443_tools.cloud import change_sets, domain, iot_authorizer, lambda_zip, modes
from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.deploy_options import DEFAULT_MODE, Mode, Options, kept, reserve
from mqtt443_tools.cloud.destroy import delete_authorizer
from mqtt443_tools.cloud.stack_outputs import Deployed, locate
from mqtt443_tools.cloud.stacks import Pace, Stack, Stacks, check_name, store_name
from mqtt443_tools.cloud.talk import Talk
from mqtt443_tools.cloud.token_signing import SigningKey, key_path
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
    talk: Talk,
    pace: Pace,
) -> Deployed:
    """Deploy, or finish a deploy, or change one.

    :param name: of the stack and of the authorizer
    :param signing: whether devices bring a signed token; None for as it is, off at first
    :param policy: a policy template in place of authorizer/mqtt443_authorizer/policy.json
    :param state: folder in which the signing key is kept
    :raises CommandError: what is in the way, and the next step
    """
    check_name(name)
    own_policy = None if policy is None else lambda_zip.read_policy(policy)
    talk.say(f"account {aws.account}, region {aws.region}, stack {name}")
    stacks = Stacks(aws, talk.say, pace)
    before = _ready(aws, stacks, name, talk)
    key = _signing_key(aws, name, before, signing, state)
    if before is None and iot_authorizer.describe(aws, name) is not None:
        raise UsageError(f"there is an authorizer {name} already, and it is not mqtt443's: choose another --stack")
    content = lambda_zip.build(policy=lambda_zip.deployed_policy(aws, before) if own_policy is None else own_policy)
    deployed_mode: Any = before.parameters["Mode"] if before else DEFAULT_MODE
    mode: Mode = options.mode or deployed_mode
    if mode == "domain":
        domain.describe(aws, name)  # refuses a foreign one of this name before anything is made
    chosen = options.parameters()
    chosen["Mode"] = mode
    chosen["OwnPolicy"] = "false" if content == lambda_zip.build() else "true"
    chosen["ReservedConcurrency"] = str(
        reserve(aws, options.concurrency, None if before is None else before.parameters, talk.say)
    )
    chosen["PreviousDefaultAuthorizer"] = modes.previous_default(aws, name, mode, before, talk)
    chosen["SigningPublicKey"] = key.public_pem if key else _parameter(before, "SigningPublicKey")

    store = _store(stacks, name, talk)
    chosen["TableName"], bucket = store.outputs["TableName"], store.outputs["CodeBucket"]
    chosen["CodeBucket"], chosen["CodeKey"] = bucket, lambda_zip.key(content)
    aws.call("s3", "put_object", Bucket=bucket, Key=chosen["CodeKey"], Body=content, ExpectedBucketOwner=aws.account)
    stack = change_sets.apply(stacks, name, TEMPLATE.read_text(), {**kept(before), **chosen}, talk)

    is_signed = bool(chosen["SigningPublicKey"])
    iot_authorizer.verify(aws, name, stack.outputs["FunctionName"], signing=is_signed)
    modes.enter(aws, stack, mode, talk, pace)
    if is_signed and key is None:
        talk.say("did not try the authorizer: the key that signs its tokens is not on this machine")
    else:
        talk.say(iot_authorizer.try_stranger(aws, name, key))
    return locate(aws, name, stack)


def _store(stacks: Stacks, name: str, talk: Talk) -> Stack:
    store = stacks.settled(store_name(name))
    if store is not None and store.is_dead:
        if store.status == "DELETE_FAILED":  # somebody wanted the devices gone: not to be undone by a deploy
            raise CommandError(
                f"stack {store.name} is half deleted: run `mqtt443 cloud destroy --stack {name} --delete-table` first"
            )
        talk.say(f"stack {store.name}: clearing away what a failed run left ({store.status})")
        stacks.delete(store)
    store = change_sets.apply(stacks, store_name(name), STORE_TEMPLATE.read_text(), {}, talk)
    stacks.protect(store.name, on=True)
    return store


def _ready(aws: Aws, stacks: Stacks, name: str, talk: Talk) -> Stack | None:
    """Give the authorizer's stack as it is now, cleared of a first deploy that failed; None if it is to be made."""
    stack = stacks.settled(name)
    if stack is not None and stack.is_dead:
        talk.say(f"stack {name}: clearing away what a failed run left ({stack.status})")
        delete_authorizer(aws, stacks, stack, talk)
        return None
    return None if stack is None or stack.is_new else stack


def _signing_key(aws: Aws, name: str, before: Stack | None, signing: bool | None, state: Path) -> SigningKey | None:
    """Give the key that signs tokens, made where there is none yet; None without signing, or without the key here."""
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
        raise CommandError(f"{path}: not the key that the stack's tokens are signed with: move it away")
    return key


def _parameter(stack: Stack | None, name: str) -> str:
    return stack.parameters.get(name, "") if stack else ""
