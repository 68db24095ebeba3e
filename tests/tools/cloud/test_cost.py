"""The estimate of what devices cost, checked by hand."""

from __future__ import annotations

import pytest
from mqtt443_tools.cloud.cost import monthly


def test_silent_device_costs_its_connection() -> None:
    # 30 days of 1,440 minutes at $0.08 a million
    assert monthly(1, interval_s=86_400, refresh_s=86_400, memory_mb=1024).connection == pytest.approx(0.003456)


def test_messages_are_metered_in_steps_of_5_kb() -> None:
    small = monthly(1, interval_s=60, refresh_s=86_400, memory_mb=1024, payload_bytes=5120)
    large = monthly(1, interval_s=60, refresh_s=86_400, memory_mb=1024, payload_bytes=5121)
    # 30 days of 1,440 readings and one CONNECT, at $1 a million
    assert small.messages == pytest.approx(30 * 1441 / 1e6)
    assert large.messages == pytest.approx(30 * 2881 / 1e6)


def test_authorizer_costs_per_call() -> None:
    hourly = monthly(1, interval_s=60, refresh_s=3600, memory_mb=1024)
    # 30 days of 24 refreshes and one connect; a call is $0.3415/M, 25 ms of 1 GB, 700 bytes of log
    assert hourly.authorizer == pytest.approx(750 * (0.3415e-6 + 0.025 * 0.0000133334 + 700 / 1e9 * 0.57))
    assert monthly(1, interval_s=60, refresh_s=300, memory_mb=1024).authorizer > 11 * hourly.authorizer


def test_total_is_for_all_devices() -> None:
    cost = monthly(200, interval_s=60, refresh_s=3600, memory_mb=1024)
    assert cost.total == pytest.approx(200 * (cost.connection + cost.messages + cost.authorizer))
    one, all_of_them = cost.lines()
    assert one.startswith("about $0.047 per device and month")
    assert all_of_them.startswith("about $9.50 a month for 200 devices")
