"""Opens AWS IoT Jobs at the place that a command's options name: the local endpoint, or the account of a stack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mqtt443_tools.support.options import refuse_aws_options
from mqtt443_tools.support.shared_folder import refuse_shared
from mqtt443_tools.update.job_service import JobService


@contextmanager
def open_service(state: Path, stack: str | None, region: str | None, profile: str | None) -> Iterator[JobService]:
    """Open the service while the block runs.

    Args:
        state: state folder of the local endpoint.
        stack: name of a stack in AWS; None for the local endpoint.
        region: AWS region; None for the default.
        profile: AWS profile; None for the default.

    Raises:
        UsageError: a region or a profile is given without a stack.
        CommandError: the endpoint does not run, or boto3 is not installed.
    """
    if stack is None:
        from mqtt443_tools.localcore.control.local_jobs import LocalJobs  # noqa: PLC0415 - POSIX only

        refuse_aws_options(region, profile)
        refuse_shared(state)
        yield LocalJobs(state)
        return
    # boto3 takes a second to load, and the local mode does not need it.
    from mqtt443_tools.cloud.aws import open_aws  # noqa: PLC0415
    from mqtt443_tools.cloud.aws_jobs import AwsJobs  # noqa: PLC0415

    yield AwsJobs(open_aws(profile, region), stack)
