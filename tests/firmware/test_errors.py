"""The tree of errors: one root, each with its text, each reachable, refusals marked."""

import re

import mqtt443
import pytest
from mqtt443 import errors, hints, rare_errors

DRAWN = re.findall(r"[+]-- (\w+)", errors.__doc__ or "")


def test_tree_in_the_docstring_is_the_tree() -> None:
    classes = {name for part in (errors, rare_errors) for name, value in vars(part).items() if isinstance(value, type)}
    assert set(DRAWN) == classes - {"Mqtt443Error"}
    parents = {0: errors.Mqtt443Error}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:[|] )? *)[+]-- (\w+)", line)
        if match:
            depth = len(match[1]) // 4
            kind = getattr(errors, match[2])
            assert kind.__bases__ == (parents[depth],), match[2]
            parents[depth + 1] = kind


def test_every_error_is_an_oserror_and_of_this_package() -> None:
    for name in DRAWN:
        kind = getattr(errors, name)
        assert issubclass(kind, errors.Mqtt443Error)
        assert issubclass(kind, OSError)
        assert getattr(mqtt443, name) is kind


# Their text needs no hint, or only subclasses are raised.
WHOLE = {"ConfigError", "NetworkError", "ProtocolError", "Refused", "ConnectRefused", "CertificateError"}


@pytest.mark.parametrize("name", sorted(set(DRAWN) - WHOLE))
def test_every_error_says_what_to_do(name: str) -> None:
    text = str(getattr(errors, name)("it broke"))
    assert text.startswith("it broke. ")
    assert len(text) > 30
    assert "\n" not in text


def test_no_text_is_for_an_error_that_does_not_exist() -> None:
    named = [line.split(" ")[0] for line in hints._CAUSES.strip().split("\n")]
    assert len(set(named)) == len(named)
    assert {name for name in named if not name[0].isdigit()} <= set(DRAWN)


def test_text_is_whole() -> None:
    for name in DRAWN:
        text = str(getattr(errors, name)("it broke"))
        assert not set(text) & set("~@\n"), text
        assert text.count("it broke") == 1


REFUSALS = {
    "ConnackTimeout", "NoAlpn", "CertificateError", "WrongCa", "WrongHost", "CertificateExpired",
    "Refused", "ClosedBeforeConnack", "ConnectRefused", "UpgradeRefused", "SubscribeRefused",
    "PublishRefused",
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_only_errors_that_would_repeat_at_once_are_refusals(name: str) -> None:
    assert getattr(errors, name).is_refusal is (name in REFUSALS)


@pytest.mark.parametrize("name", DRAWN)
def test_every_error_has_a_docstring_of_its_own(name: str) -> None:
    assert vars(getattr(errors, name)).get("__doc__")


def test_close_before_connack_lists_the_likely_causes() -> None:
    text = str(errors.ClosedBeforeConnack("closed before CONNACK"))
    for cause in ("password", "client_id", "authorizer", "default", "ALPN", "policy", "iot:Connect"):
        assert cause in text


@pytest.mark.parametrize(
    ("code", "words"),
    [(1, "3.1.1"), (2, "client_id"), (3, "down"), (4, "password"), (5, "iot:Connect"), (7, "policy")],
)
def test_each_return_code_has_its_text(code: int, words: str) -> None:
    assert words in str(errors.ConnectRefused("refused", code=code))


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("ConnectRefused", 0x84, "3.1.1"),
        ("ConnectRefused", 0x85, "client_id"),
        ("ConnectRefused", 0x86, "username and password"),
        ("ConnectRefused", 0x87, "password, client_id, authorizer, and iot:Connect in its policy"),
        ("ConnectRefused", 0x88, "down"),
        ("ConnectRefused", 0x97, "quota"),
        ("ConnectRefused", 0x9F, "connections"),
        ("SubscribeRefused", 0x87, "iot:Subscribe"),
        ("SubscribeRefused", 0x97, "quota"),
        ("PublishRefused", 0x87, "iot:Publish"),
        ("PublishRefused", 0x95, "smaller"),
        ("ConnectionLost", 0x87, "iot:Publish, Subscribe or Receive"),
        ("ConnectionLost", 0x8E, "its own client_id"),
        ("ConnectionLost", 0x96, "interval_s"),
    ],
)
def test_reason_codes_of_mqtt_5_have_their_text(kind: str, code: int, words: str) -> None:
    assert words in str(getattr(errors, kind)("refused", code=code))


def test_reason_code_without_a_hint_gets_none() -> None:
    assert str(errors.ConnectionLost("the server disconnected", code=0x8B)) == "the server disconnected"


def test_facts_become_attributes() -> None:
    error = errors.timeout_error(errors.PeerVanished, "PUBACK", 15)
    assert (error.phase, error.args[0]) == ("PUBACK", "no answer within 15 s: PUBACK")
    assert errors.ConnectionLost("x", closed=True).closed


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        getattr(errors, "Mqtt443")  # noqa: B009 - mypy knows that it is absent
    for name in ("Nothing", "nothing", "__nothing__"):
        with pytest.raises(AttributeError):
            getattr(mqtt443, name)
    with pytest.raises(AttributeError):
        getattr(errors, "Timeout_")  # noqa: B009 - mypy knows that it is absent
