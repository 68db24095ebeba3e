"""What the rig counts: how many messages arrived within one second."""

import pytest

from bench.rig import fullest_second


@pytest.mark.parametrize(
    ("at_s", "most"),
    [([], 0), ([7], 1), ([0, 1, 2], 1), ([0, 0.999], 2), ([0, 0.5, 0.9, 1.2, 1.6], 3), ([0, 0, 1, 1, 1, 3, 3], 3)],
)
def test_the_fullest_second_slides_and_ends_before_its_last_moment(at_s: list[float], most: int) -> None:
    assert fullest_second(at_s) == most
