"""The command `mqtt443 console`: serves the live page of an endpoint that already runs, or of a stack in AWS."""

from typing import Annotated

import typer

from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.options import ProfileOption, RegionOption, StackOption, StateOption, refuse_aws_options
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.posix import needs_posix


def console(
    *,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    topic_filter: Annotated[
        str, typer.Option("--filter", help="With --stack: the messages to show, as AWS matches topics.")
    ] = "telemetry/#",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port on 127.0.0.1; 0 picks a free one.")] = 0,
) -> None:
    """Show the devices, messages and refusals of the local endpoint or of a stack in the browser, until Ctrl-C."""
    needs_posix("mqtt443 console")
    from mqtt443_tools.console.run import run_local, run_stack  # noqa: PLC0415 - loads the web server

    if stack is not None:
        from mqtt443_tools.cloud.aws import open_aws  # noqa: PLC0415 - loads boto3

        _check(topic_filter)
        named = (("--stack", stack), ("--region", region), ("--profile", profile))
        options = [word for name, value in named if value is not None for word in (name, value)]
        run_stack(open_aws(profile, region), stack, state=state, port=port, topic_filter=topic_filter, options=options)
        return
    refuse_aws_options(region, profile)
    if not state.is_dir():
        raise CommandError(f"{state} does not exist; start an endpoint with: mqtt443 local --state {state}")
    run_local(state, port=port)


def _check(topic_filter: str) -> None:
    from mqtt443_tools.localcore.localcore_errors import TopicError  # noqa: PLC0415 - loads the local endpoint
    from mqtt443_tools.localcore.mqtt.topics import check_filter  # noqa: PLC0415 - loads the local endpoint

    try:
        check_filter(topic_filter)
    except TopicError as error:
        raise UsageError(f"--filter {topic_filter}: {error}") from None
