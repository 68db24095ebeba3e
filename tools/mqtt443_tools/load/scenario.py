"""The work of a fleet in `mqtt443 load`: connect storms, telemetry, and commands from device to device."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mqtt443_tools.load.fleet import Fleet, Stream
from mqtt443_tools.load.tally import Tally, total
from mqtt443_tools.load.target import Login, Target

STORM_PAUSE_S = 1.2
"""AWS accepts one CONNECT per second and client id ("AWS IoT Core protocol quotas")."""

POLL_S = 0.2


@dataclass(frozen=True)
class Plan:
    """A load.

    Attributes:
        rate: telemetry messages per second of the whole fleet, at QoS 1.
        commands: commands per second of the whole fleet, at QoS 1.
        seconds: how long both last.
        size: bytes of a payload.
        storms: how often the whole fleet connects.
        at_once: handshakes in progress, over all processes.
        timeout_s: for each answer of the endpoint, and for a command to arrive.
        processes: of the fleet; one for each processor if None.
    """

    rate: float
    seconds: float
    commands: float = 1.0
    size: int = 200
    storms: int = 1
    at_once: int = 50
    timeout_s: float = 30.0
    processes: int | None = None


def command_topics(client_ids: Sequence[str]) -> dict[str, str]:
    """Return where each device sends commands: to the next one."""
    following = [*client_ids[1:], *client_ids[:1]]
    return {client_id: f"commands/{other}" for client_id, other in zip(client_ids, following, strict=True)}


async def run(target: Target, logins: Sequence[Login], plan: Plan, say: Callable[[str], None]) -> dict[str, Tally]:
    """Carry out a plan with registered devices that may publish to `command_topics`.

    Args:
        target: the endpoint.
        logins: of the devices.
        plan: the load.
        say: called with lines about the progress.

    Returns:
        Tallies by name: connect (with the number of the storm, if there are several), subscribe, telemetry
        (acknowledged), commands (acknowledged), deliveries (of commands), and connections (those that ended by
        themselves count as errors).

    Raises:
        CommandError: a process of the fleet broke.
    """
    connects: dict[str, Tally] = {}
    lost: list[Tally] = []
    async with Fleet(target, logins, plan.processes, timeout_s=plan.timeout_s) as fleet:
        for storm in range(plan.storms):
            if storm:
                lost.append(await fleet.disconnect())
                await asyncio.sleep(STORM_PAUSE_S)
            say(f"storm {storm + 1} of {plan.storms}: {len(logins):,} devices connect")
            name = f"connect {storm + 1}" if plan.storms > 1 else "connect"
            connects[name] = await fleet.connect(plan.at_once)
        subscribed = await fleet.subscribe("commands/{client_id}", at_once=plan.at_once)
        await fleet.listen()
        say(f"{plan.rate:g} telemetry messages and {plan.commands:g} commands a second for {plan.seconds:g} s")
        streams = [
            Stream(plan.rate, plan.size),
            Stream(plan.commands, plan.size, topics=command_topics([login.client_id for login in logins])),
        ]
        telemetry, commands = await fleet.publish(streams, seconds=plan.seconds)
        delivered = await _deliveries(fleet, commands.done, plan.timeout_s)
        lost.append(await fleet.disconnect())
    return {
        **connects,
        "subscribe": subscribed,
        "telemetry": telemetry,
        "commands": commands,
        "deliveries": delivered,
        "connections": total(lost),
    }


async def _deliveries(fleet: Fleet, expected: int, within_s: float) -> Tally:
    """Return the commands that arrived; those that are missing or late count as errors."""
    deadline = time.monotonic() + within_s
    while (delivered := await fleet.heard(0, within_s=0)).done < expected:
        if time.monotonic() >= deadline:
            delivered.errors[f"not delivered within {within_s:g} s"] += expected - delivered.done
            break
        await asyncio.sleep(POLL_S)
    return delivered
