"""AWS IoT Jobs in the account of a stack, for `mqtt443 update --stack`."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.stacks import Pace, Stacks, check_name
from mqtt443_tools.support.errors import CommandError

PREFIX = "updates/"


class AwsJobs:
    """A `JobService` on AWS.

    Args:
        aws: account and region.
        name: of the stack.
    """

    poll_s = 5.0

    def __init__(self, aws: Aws, name: str) -> None:
        check_name(name)
        self._aws = aws
        self._name = name

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """See JobService."""
        return self._aws.call("iot", operation, **parameters)

    def find(self, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """See JobService."""
        return self._aws.find("iot", operation, **parameters)

    def items(self, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """See JobService."""
        return self._aws.items("iot", operation, key, **parameters)

    def arn(self, kind: str, name: str) -> str:
        """See JobService."""
        return f"arn:{self._partition}:iot:{self._aws.region}:{self._aws.account}:{kind}/{name}"

    def store(self, name: str, content: bytes) -> dict[str, str]:
        """See JobService: in the stack's bucket, under the prefix that the role of streams may read."""
        place = {"bucket": self._output("UpdatesBucket"), "key": PREFIX + name}
        self._aws.call(
            "s3",
            "put_object",
            Bucket=place["bucket"],
            Key=place["key"],
            Body=content,
            ExpectedBucketOwner=self._aws.account,
        )
        return place

    def discard(self, name: str) -> None:
        """See JobService."""
        self._aws.call(
            "s3",
            "delete_object",
            Bucket=self._output("UpdatesBucket"),
            Key=PREFIX + name,
            ExpectedBucketOwner=self._aws.account,
        )

    def role_arn(self) -> str:
        """See JobService: the role of the stack."""
        return self._output("StreamsRoleArn")

    @cached_property
    def _outputs(self) -> dict[str, str]:
        stack = Stacks(self._aws, lambda _: None, Pace()).find(self._name)
        if stack is None:
            raise CommandError(
                f"there is no deployed stack {self._name} in {self._aws.region}: "
                f"run `mqtt443 cloud deploy --stack {self._name}`, or name another --region"
            )
        return dict(stack.outputs)

    @cached_property
    def _partition(self) -> str:
        return self._outputs.get("AuthorizerArn", "arn:aws").split(":")[1]

    def _output(self, name: str) -> str:
        found = self._outputs.get(name)
        if found is None:
            raise CommandError(
                f"the stack {self._name} cannot send files to boards: run `mqtt443 cloud deploy --stack {self._name}` "
                "without --no-updates"
            )
        return found
