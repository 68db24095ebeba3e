"""The number of messages within one second, as the rig counts it."""

import pytest

from bench.rig import fullest_second


@pytest.mark.parametrize(
    ("at_s", "most"),
    [([], 0), ([7], 1), ([0, 1, 2], 1), ([0, 0.999], 2), ([0, 0.5, 0.9, 1.2, 1.6], 3), ([0, 0, 1, 1, 1, 3, 3], 3)],
)
def test_fullest_second_is_a_sliding_half_open_window(at_s: list[float], most: int) -> None:
    assert fullest_second(at_s) == most
