"""The policy template that a stack is deployed with: the package's, one without updates, or the user's own."""

import io
import json
import zipfile

from mqtt443_authorizer.policy import DEFAULT_PATH

from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.stacks import Stack
from mqtt443_tools.support.errors import CommandError

MAX_BYTES = 10 * 1024 * 1024
UPDATE_TOPICS = "/$aws/things/"
"""Occurs in the documents of policy.json that updates need, and in no other."""


def policy_without_updates() -> bytes:
    """Return the package's policy template without the documents that allow jobs and streams."""
    documents = json.loads(DEFAULT_PATH.read_bytes())
    return json.dumps([each for each in documents if UPDATE_TOPICS not in json.dumps(each)], indent=2).encode()


def deployed_policy(aws: Aws, stack: Stack | None) -> bytes | None:
    """Return the policy template that a stack was deployed with; None if it is one of the package's own.

    Raises:
        CommandError: the deployed code cannot be read.
    """
    if stack is None or stack.parameters.get("OwnPolicy") != "true":
        return None
    bucket, name = stack.parameters["CodeBucket"], stack.parameters["CodeKey"]
    answer = aws.call("s3", "get_object", Bucket=bucket, Key=name, ExpectedBucketOwner=aws.account)
    try:
        content: bytes = answer["Body"].read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise CommandError(f"bucket {bucket}: {name} is larger than {MAX_BYTES:,} bytes: deploy with --policy FILE")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read("mqtt443_authorizer/policy.json")
    except (zipfile.BadZipFile, KeyError) as error:
        raise CommandError(
            f"bucket {bucket}: {name} is not the code of the authorizer: deploy with --policy FILE"
        ) from error
    finally:
        answer["Body"].close()
