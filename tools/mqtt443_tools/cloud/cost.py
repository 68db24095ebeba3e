"""What devices cost per month. The arithmetic is here and in docs/aws.md; the prices are AWS's list prices.

Prices in US dollars for Ireland (eu-west-1) as published in September 2026, without free tier and tax; other regions
differ by about 20 %. "AWS IoT Core pricing", "AWS Lambda pricing" (arm64), "Amazon DynamoDB pricing" (on demand).
"""

from dataclasses import dataclass

DAYS = 30
PER_MILLION_CONNECTION_MINUTES = 0.08
PER_MILLION_MESSAGES = 1.00
MESSAGE_BYTES = 5 * 1024  # metered in steps of 5 KB
PER_MILLION_CALLS = 0.20
PER_GB_SECOND = 0.0000133334
PER_MILLION_READS = 0.1415  # one strongly consistent read of up to 4 KB
PER_MILLION_WRITES = 0.705  # one write of up to 1 KB; a transaction counts twice
WRITES_PER_DEVICE = 8  # two items, written and deleted in transactions
PER_GB_LOG = 0.57
LOG_BYTES = 700  # the decision's line and Lambda's own three
CALL_MS = 25  # a warm call: the table's answer and one SHA-256
DAY_S = 86_400


@dataclass(frozen=True)
class Cost:
    """US dollars per month, for one device and for all."""

    devices: int
    connection: float
    messages: float
    authorizer: float

    @property
    def device(self) -> float:
        """One device."""
        return self.connection + self.messages + self.authorizer

    @property
    def total(self) -> float:
        """All devices."""
        return self.device * self.devices

    def lines(self) -> list[str]:
        """Return the estimate in words."""
        return [
            f"about ${self.device:.3f} per device and month: ${self.connection:.4f} connection, "
            f"${self.messages:.4f} messages, ${self.authorizer:.4f} authorizer",
            f"about ${self.total:.2f} a month for {self.devices} devices (list prices of Ireland, see docs/aws.md)",
        ]


def monthly(
    devices: int, *, interval_s: int, refresh_s: int, memory_mb: int, connects_a_day: int = 1, payload_bytes: int = 200
) -> Cost:
    """Estimate the cost of devices that are always connected.

    Args:
        devices: how many.
        interval_s: seconds from one reading to the next.
        refresh_s: seconds until AWS asks the authorizer again.
        memory_mb: of the Lambda function.
        connects_a_day: 1 or more, as AWS ends every connection within a day.
        payload_bytes: size of a message.
    """
    connection = DAYS * 24 * 60 / 1e6 * PER_MILLION_CONNECTION_MINUTES
    units = -(-payload_bytes // MESSAGE_BYTES)
    messages = DAYS * (DAY_S / interval_s * units + connects_a_day) / 1e6 * PER_MILLION_MESSAGES
    calls = DAYS * (connects_a_day + DAY_S / refresh_s)
    return Cost(devices, connection, messages, calls * _call(memory_mb))


def load_cost(
    devices: int, *, storms: int, seconds: float, messages: float, commands: float, payload_bytes: int
) -> float:
    """Estimate what a run of `mqtt443 load` costs, in US dollars, with a function of 1,024 MB.

    Args:
        devices: how many are registered, and removed afterwards.
        storms: how often each connects.
        seconds: how long all are connected.
        messages: telemetry in all.
        commands: commands in all; AWS meters each twice, when it is published and when it is delivered.
        payload_bytes: size of a message.
    """
    connects = devices * storms
    units = -(-payload_bytes // MESSAGE_BYTES)
    metered = (messages + 2 * commands) * units + connects
    minutes = devices * (seconds / 60 + storms)  # a minute for each storm
    return (
        minutes / 1e6 * PER_MILLION_CONNECTION_MINUTES
        + metered / 1e6 * PER_MILLION_MESSAGES
        + connects * _call(memory_mb=1024)
        + devices * WRITES_PER_DEVICE / 1e6 * PER_MILLION_WRITES
    )


def _call(memory_mb: int) -> float:
    """Return the price of a call of the authorizer."""
    return (
        (PER_MILLION_CALLS + PER_MILLION_READS) / 1e6
        + memory_mb / 1024 * CALL_MS / 1000 * PER_GB_SECOND
        + LOG_BYTES / 1e9 * PER_GB_LOG
    )
