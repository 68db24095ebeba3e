"""The simulated fleet: it uses the given waits, it ends, and our boards do not reconnect all at once."""

import random
import re

import pytest
from mqtt443.backoff import LEAST_MS, NETWORK_LAST_MS
from mqtt443_tools.support.paths import ROOT

from bench import plot
from bench.fleet import BOARDS, MOST_PER_S, OUTAGES_S, STRATEGIES, exponential, fixed, ours, simulate


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_board_reconnects_once(name: str) -> None:
    for outage_s in (0, 7.5, 100):
        assert sum(simulate(STRATEGIES[name], outage_s).arrivals) == BOARDS


def test_same_seed_gives_the_same_fleet() -> None:
    assert simulate(ours, 50, seed=1) == simulate(ours, 50, seed=1)
    assert simulate(ours, 50, seed=1) != simulate(ours, 50, seed=2)


def test_fixed_wait_reconnects_all_at_once() -> None:
    back = simulate(fixed(2), 9)
    assert back.arrivals == (0, BOARDS)
    assert back.failed_attempts == 4 * BOARDS
    assert back.peak_failed_per_s == BOARDS


def test_exponential_wait_without_jitter_reconnects_all_at_once() -> None:
    assert simulate(exponential, 100).peak_per_s == BOARDS


def test_our_boards_spread_over_their_longest_wait() -> None:
    back = simulate(ours, 300)
    assert back.peak_per_s < BOARDS / 20
    assert BOARDS / 20 < back.all_back_s <= NETWORK_LAST_MS / 1000 + 1


@pytest.mark.parametrize("outage_s", OUTAGES_S)
def test_our_boards_stay_below_half_the_fleet_per_second(outage_s: int) -> None:
    assert simulate(ours, outage_s).most_per_s <= MOST_PER_S == BOARDS / 2


def test_our_waits_come_from_the_boards_own_backoff() -> None:
    waits = ours(random.Random(1))
    assert all(LEAST_MS / 1000 <= next(waits) <= NETWORK_LAST_MS / 1000 for _ in range(1000))


def test_picture_hides_no_curve_behind_another() -> None:
    returns = {name: simulate(waits, 300) for name, waits in STRATEGIES.items()}
    picture = plot.draw(returns, 300).decode()
    widths = [float(width) for width in re.findall(r"\.serie-\d \.line\{stroke-width:([\d.]+)px\}", picture)]
    for lower, (name, back) in enumerate(returns.items()):
        for upper, other in list(enumerate(returns.values()))[lower + 1 :]:
            assert other.arrivals != back.arrivals or widths[upper] < widths[lower] / 2, name


def test_picture_of_the_documentation_has_the_curves_of_the_code_and_no_date() -> None:
    picture = plot.draw({name: simulate(waits, 300) for name, waits in STRATEGIES.items()}, 300)
    documented = (ROOT / "docs" / "fleet.svg").read_bytes()
    curves = re.compile(rb'<path d="([^"]+)" class="line')
    assert len(curves.findall(picture)) == len(STRATEGIES)
    assert curves.findall(documented) == curves.findall(picture), "run `make bench ARGS='--only fleet'`"
    assert b"<!--" not in documented
