"""The policy template in the code that a stack was deployed with."""

import io
import zipfile

from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.stacks import Stack
from mqtt443_tools.support.errors import CommandError

MAX_BYTES = 10 * 1024 * 1024


def deployed_policy(aws: Aws, stack: Stack | None) -> bytes | None:
    """Return the policy template that a stack was deployed with; None if it is the package's own policy.json.

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
