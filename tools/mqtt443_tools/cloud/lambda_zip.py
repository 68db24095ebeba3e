"""The authorizer's code as the zip that is deployed: the same input gives the same bytes, on every machine.

Stored, not compressed (versions of zlib differ, and it is some 60 KB); sorted names, one date, one mode.
"""

import hashlib
import io
import zipfile
from pathlib import Path

from mqtt443_authorizer.policy import DEFAULT_PATH, Template

from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.stacks import Stack
from mqtt443_tools.support.errors import CommandError

PACKAGE = DEFAULT_PATH.parent
MAX_BYTES = 10 * 1024 * 1024
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_MODE = 0o100644
_UNIX = 3


def build(package: Path = PACKAGE, policy: bytes | None = None) -> bytes:
    """Make the zip.

    :param package: folder of the package `authorizer`
    :param policy: content of a policy template that takes the place of policy.json; already checked
    """
    files = {f"mqtt443_authorizer/{path.name}": path.read_bytes() for path in package.glob("*.py")}
    files["mqtt443_authorizer/policy.json"] = (package / "policy.json").read_bytes() if policy is None else policy
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            archive.writestr(entry, files[name])
    return content.getvalue()


def read_policy(path: Path) -> bytes:
    """Read a policy template. Raises PolicyError if it breaks a rule."""
    Template.load(path)
    return path.read_bytes()


def deployed_policy(aws: Aws, stack: Stack | None) -> bytes | None:
    """Give the policy template that a stack was deployed with; None if that is the package's own policy.json.

    :raises CommandError: the deployed code cannot be read
    """
    if stack is None or stack.parameters.get("OwnPolicy") != "true":
        return None
    bucket, name = stack.parameters["CodeBucket"], stack.parameters["CodeKey"]
    answer = aws.call("s3", "get_object", Bucket=bucket, Key=name, ExpectedBucketOwner=aws.account)
    try:
        content: bytes = answer["Body"].read(MAX_BYTES)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read("mqtt443_authorizer/policy.json")
    except (zipfile.BadZipFile, KeyError) as error:
        raise CommandError(
            f"bucket {bucket}: {name} is not the authorizer's code: deploy with --policy FILE"
        ) from error
    finally:
        answer["Body"].close()


def key(content: bytes) -> str:
    """The name of the zip in its bucket: a hash of what is in it."""
    return f"{hashlib.sha256(content).hexdigest()}.zip"
