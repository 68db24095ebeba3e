"""Tallies: percentiles within their class, and sums over processes."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443_tools.load.report import errors, to_json
from mqtt443_tools.load.tally import STEP, Tally, total

LATENCIES = st.lists(st.floats(1e-5, 100.0), min_size=1)


def tally_of(latencies: list[float]) -> Tally:
    tally = Tally()
    for latency in latencies:
        tally.add(0.0, latency)
    return tally


@given(LATENCIES, st.floats(0.1, 100.0))
def test_percentile_is_right_within_its_class(latencies: list[float], percent: float) -> None:
    at = max(0, -(-len(latencies) * percent // 100) - 1)
    exact_ms = sorted(latencies)[int(at)] * 1000
    assert tally_of(latencies).percentile_ms(percent) == pytest.approx(exact_ms, rel=STEP - 1)


@given(LATENCIES, LATENCIES)
def test_sum_of_two_is_the_tally_of_all(one: list[float], other: list[float]) -> None:
    assert total([tally_of(one), tally_of(other)]) == tally_of([*one, *other])


@given(LATENCIES, st.dictionaries(st.text(max_size=5), st.integers(1, 9)))
def test_json_keeps_everything(latencies: list[float], causes: dict[str, int]) -> None:
    tally = tally_of(latencies)
    tally.errors = Counter(causes)
    assert Tally.from_json(json.loads(json.dumps(tally.to_json()))) == tally


def test_empty_tally_has_no_latency_and_no_rate() -> None:
    tally = Tally.from_json(json.loads(json.dumps(Tally().to_json())))
    assert (tally, tally.percentile_ms(50), tally.rate) == (Tally(), None, 0.0)


def test_rate_is_over_the_span_of_the_work() -> None:
    tally = Tally()
    for at in range(10):
        tally.add(100.0 + at / 2, 100.5 + at / 2)
    assert tally.rate == pytest.approx(10 / 5.0)


def test_series_begin_with_the_first_second_of_all() -> None:
    early, late = Tally(), Tally()
    early.add(9.5, 10.5)
    late.add(12.0, 12.1)
    late.add(12.0, 13.1)
    series = {name: each["per_second"] for name, each in to_json({"early": early, "late": late}).items()}
    assert series == {"early": [1], "late": [0, 0, 1, 1]}


def test_causes_are_listed_by_frequency_and_made_printable() -> None:
    tally = Tally()
    for cause in ("rare", "often\x1b[31m", "often\x1b[31m"):
        tally.fail(cause)
    assert errors({"connect": tally}) == ["connect: 2 x often\\x1b[31m", "connect: 1 x rare"]
