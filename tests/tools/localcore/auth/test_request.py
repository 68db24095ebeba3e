"""What a client brings to an authorizer: parameters wherever they are, and the documented event."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.auth.request import (
    NAME_KEY,
    SIGNATURE_KEY,
    Parameter,
    Request,
    Source,
    build_event,
    find_parameter,
    parse_query,
)

ORDER = (Source.HEADER, Source.QUERY, Source.USERNAME)
MQTT = Request("localhost", ("tls", "mqtt"), None, None, "dev", b"p\xff", "dev-1", "id-1", "127.0.0.1")
METRICS = (
    "&SDK=IoTDeviceSDK/Python&Platform=Unix"
    "&Metadata=(CRTVersion=0.36.1;IoTSDKVersion=1.31.0;IoTSDKFeature=F/3,G/A;IoTSDKMetricsVersion=1)"
)


def with_username(username: str) -> Request:
    return dataclasses.replace(MQTT, mqtt_username=username)


def with_http(headers: dict[str, str], query: str = "", **more: Any) -> Request:
    return dataclasses.replace(MQTT, protocols=("tls", "http", "mqtt"), http_headers=headers, http_query=query, **more)


def test_sdk_user_name_with_signature_and_metrics_gives_all_parameters() -> None:
    request = with_username(f"dev1?{NAME_KEY}=MyAuth&{SIGNATURE_KEY}=AA%2B/BB%3D%3D&tok=abc+/=1" + METRICS)
    found = {name: find_parameter(request, name, ORDER) for name in (NAME_KEY, SIGNATURE_KEY, "tok", "Metadata")}
    assert {name: value and value.decoded for name, value in found.items()} == {
        NAME_KEY: "MyAuth",
        SIGNATURE_KEY: "AA+/BB==",
        "tok": "abc+/=1",
        "Metadata": "(CRTVersion=0.36.1;IoTSDKVersion=1.31.0;IoTSDKFeature=F/3,G/A;IoTSDKMetricsVersion=1)",
    }


def test_user_part_may_be_empty_or_without_parameters() -> None:
    assert find_parameter(with_username("?tok=1"), "tok", ORDER) == Parameter("1", Source.USERNAME)
    for username in ("", "dev", "dev?", "tok=1", "dev?token=1", "dev?xtok=1", "dev?TOK=1"):
        assert find_parameter(with_username(username), "tok", ORDER) is None
    assert find_parameter(dataclasses.replace(MQTT, mqtt_username=None), "tok", ORDER) is None


def test_first_occurrence_wins() -> None:
    assert find_parameter(with_username("u?t=1&t=2&t"), "t", ORDER) == Parameter("1", Source.USERNAME)
    assert find_parameter(with_http({}, "?t=&t=2"), "t", ORDER) == Parameter("", Source.QUERY)


def test_order_of_places_decides_between_two() -> None:
    request = with_http({"T": "header"}, "?T=query", mqtt_username="u?T=name")
    assert find_parameter(request, "T", ORDER) == Parameter("header", Source.HEADER)
    assert find_parameter(request, "T", ORDER[::-1]) == Parameter("name", Source.USERNAME)
    assert find_parameter(request, "T", (Source.QUERY,)) == Parameter("query", Source.QUERY)


def test_header_names_ignore_case_and_their_values_are_not_decoded() -> None:
    found = find_parameter(with_http({"X-Amz-CustomAuthorizer-Name": "a%41+b"}), NAME_KEY, ORDER)
    assert found == Parameter("a%41+b", Source.HEADER)
    assert found.decoded == "a%41+b"


def test_query_string_is_url_decoded_and_keeps_plus() -> None:
    found = find_parameter(with_http({}, "?a%2Db=%2B+%20%zz%"), "a-b", ORDER)
    assert found
    assert found.decoded == "++ %zz%"


def test_query_begins_after_the_first_question_mark() -> None:
    assert list(parse_query("u?a=1?b=2&c")) == [("a", "1?b=2"), ("c", "")]
    assert list(parse_query("a=1")) == []
    assert list(parse_query("?&=x&&")) == []


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="&=%", exclude_categories=["Cs"]), min_size=1),
            st.text(st.characters(exclude_characters="&")),
        )
    )
)
def test_query_round_trip_keeps_all_values(pairs: list[tuple[str, str]]) -> None:
    text = "&".join(f"{name}={value}" for name, value in pairs)
    assert list(parse_query(f"user?{text}")) == pairs


@settings(deadline=None)
@given(st.text(), st.text(), st.dictionaries(st.text(max_size=3), st.text(max_size=3)))
def test_any_text_is_parsed(username: str, query: str, headers: dict[str, str]) -> None:
    request = with_http(headers, query, mqtt_username=username)
    for name in ("a", NAME_KEY):
        found = find_parameter(request, name, ORDER)
        assert found is None or isinstance(found.decoded, str)
    event = build_event(request, None, signature_verified=False)
    assert json.loads(json.dumps(event)) == event


def test_event_of_mqtt_is_the_documented_one() -> None:
    assert build_event(with_username("dev?a=b"), "tok", signature_verified=True) == {
        "token": "tok",
        "signatureVerified": True,
        "protocols": ["tls", "mqtt"],
        "protocolData": {
            "tls": {"serverName": "localhost"},
            "mqtt": {"username": "dev?a=b", "password": "cP8=", "clientId": "dev-1"},
        },
        "connectionMetadata": {"id": "id-1"},
    }


def test_event_of_mqtt_over_websocket_has_both_parts() -> None:
    event = build_event(with_http({"Host": "localhost"}, "?a=%41"), None, signature_verified=False)
    assert "token" not in event
    assert event["signatureVerified"] is False
    assert event["protocols"] == ["tls", "http", "mqtt"]
    assert event["protocolData"] == {
        "tls": {"serverName": "localhost"},
        "http": {"headers": {"Host": "localhost"}, "queryString": "?a=%41"},
        "mqtt": {"username": "dev", "password": "cP8=", "clientId": "dev-1"},
    }


def test_event_of_a_publish_over_http_has_no_mqtt() -> None:
    request = Request("localhost", ("tls", "http"), {"A": "b"}, "?qos=1", None, None, None, "id-2", "127.0.0.1")
    event = build_event(request, None, signature_verified=False)
    assert event["protocolData"] == {
        "tls": {"serverName": "localhost"},
        "http": {"headers": {"A": "b"}, "queryString": "?qos=1"},
    }


def test_fields_that_do_not_apply_are_absent() -> None:
    bare = Request(None, ("tls", "mqtt"), None, None, None, None, None, "id-3", "127.0.0.1")
    assert build_event(bare, None, signature_verified=False)["protocolData"] == {"mqtt": {}}
    empty = dataclasses.replace(bare, mqtt_username="", mqtt_password=b"", mqtt_client_id="")
    assert build_event(empty, "", signature_verified=False) == {
        "token": "",
        "signatureVerified": False,
        "protocols": ["tls", "mqtt"],
        "protocolData": {"mqtt": {"username": "", "password": ""}},
        "connectionMetadata": {"id": "id-3"},
    }
    no_query = build_event(with_http({}), None, signature_verified=False)
    assert no_query["protocolData"]["http"] == {"headers": {}}
