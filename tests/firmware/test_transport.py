"""Which transport a board uses, and why."""

import pytest
from mqtt443 import errors
from mqtt443.connection import choose


@pytest.mark.parametrize(
    ("wanted", "alpn", "taken"),
    [
        ("auto", True, "alpn"),
        ("auto", False, "wss"),
        ("alpn", True, "alpn"),
        ("wss", True, "wss"),
        ("tls", True, "tls"),
        ("wss", False, "wss"),
        ("tls", False, "tls"),
    ],
)
def test_auto_picks_the_first_transport_that_the_image_supports(wanted: str, alpn: bool, taken: str) -> None:
    name, why = choose(wanted, alpn)
    assert name == taken
    assert why


def test_alpn_on_an_image_without_it_names_the_ways_out() -> None:
    with pytest.raises(errors.NoAlpn) as info:
        choose("alpn", False)
    for way in ("firmware/image", "transport wss", "transport tls"):
        assert way in str(info.value)
