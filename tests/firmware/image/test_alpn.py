"""The module alpn on real MicroPython, against a real TLS server: what it offers, what is chosen, what it refuses."""

import json
import subprocess

import pytest

from tests.firmware.image.conftest import Run, Serve
from tests.support.board import interpreters


def test_server_sees_the_name_and_the_client_its_choice(run: Run, serve: Serve) -> None:
    server = serve("mqtt", "http/1.1")
    said = run(
        """
        context = make_context()
        print(alpn.set_protocols(context, ["mqtt"]))
        tls_socket = connect(context)
        print(alpn.selected(tls_socket))
        tls_socket.write(b"it works")
        print(tls_socket.read(8))
        """,
        server,
    )
    assert server.seen.get_nowait() == ["mqtt"]
    assert said.split("\n") == ["None", "mqtt", "b'IT WORKS'", ""]


def test_alpn_offers_names_in_order_and_reports_the_choice(run: Run, serve: Serve) -> None:
    server = serve("http/1.1", "mqtt")
    said = run(
        """
        context = make_context()
        alpn.set_protocols(context, ("x-amzn-mqtt-ca", "mqtt", "http/1.1", "µ"))
        print(alpn.selected(connect(context)))
        """,
        server,
    )
    assert server.seen.get_nowait() == ["x-amzn-mqtt-ca", "mqtt", "http/1.1", "µ"]
    assert said == "http/1.1\n"


@pytest.mark.parametrize("picks", [(), ("http/1.1",)], ids=["knows no ALPN", "wants another"])
def test_server_that_picks_none_is_reported_as_none(run: Run, serve: Serve, picks: tuple[str, ...]) -> None:
    server = serve(*picks)
    said = run(
        """
        context = make_context()
        alpn.set_protocols(context, ["mqtt"])
        tls_socket = connect(context)
        tls_socket.write(b"x")
        print(alpn.selected(tls_socket), tls_socket.read(1))
        """,
        server,
    )
    assert server.seen.get_nowait() == ["mqtt"]
    assert said == "None b'X'\n"


def test_context_without_protocols_offers_none(run: Run, serve: Serve) -> None:
    server = serve("mqtt")
    assert run("print(alpn.selected(connect(make_context())))", server) == "None\n"
    assert server.seen.get_nowait() is None


def test_last_list_set_is_the_one_offered(run: Run, serve: Serve) -> None:
    server = serve("mqtt")
    run(
        """
        context = make_context()
        alpn.set_protocols(context, ["http/1.1", "mqtt"])
        alpn.set_protocols(context, ["mqtt"])
        connect(context)
        """,
        server,
    )
    assert server.seen.get_nowait() == ["mqtt"]


def test_longest_names_and_longest_offer_fit_the_handshake(run: Run, serve: Serve) -> None:
    server = serve("b" * 255)
    said = run(
        """
        context = make_context()
        alpn.set_protocols(context, [letter * 255 for letter in "abcdefgh"])
        print(len(alpn.selected(connect(context))))
        """,
        server,
    )
    assert server.seen.get_nowait() == [letter * 255 for letter in "abcdefgh"]
    assert said == "255\n"


def test_handshake_in_steps_has_no_choice_before_its_end(run: Run, serve: Serve) -> None:
    server = serve("mqtt")
    said = run(
        """
        context = make_context()
        alpn.set_protocols(context, ["mqtt"])
        tls_socket = connect(context, handshake=False)
        print(error_of(alpn.selected, tls_socket))
        tls_socket.write(b"x")
        print(alpn.selected(tls_socket))
        """,
        server,
    )
    assert said == "ValueError\nmqtt\n"


@pytest.mark.parametrize(
    ("protocols", "error"),
    [
        ('"mqtt"', "TypeError"),
        ("None", "TypeError"),
        ("7", "TypeError"),
        ("{'mqtt': 1}", "TypeError"),
        ("iter(['mqtt'])", "TypeError"),
        ("[b'mqtt']", "TypeError"),
        ("['mqtt', None]", "TypeError"),
        ("[]", "ValueError"),
        ("()", "ValueError"),
        ("['']", "ValueError"),
        ("['mqtt', '']", "ValueError"),
        ("['a' * 256]", "ValueError"),
        ("['mq\\0tt']", "ValueError"),
        ("['mqtt\\0']", "ValueError"),
        ("['ab' * 100] * 10 + ['c' * 38]", "ValueError"),  # 2,049 bytes with the lengths
        ("['m'] * 2_000", "ValueError"),
    ],
)
def test_wrong_protocols_are_refused_and_change_nothing(run: Run, serve: Serve, protocols: str, error: str) -> None:
    server = serve("mqtt")
    said = run(
        f"""
        context = make_context()
        alpn.set_protocols(context, ["mqtt"])
        print(error_of(alpn.set_protocols, context, {protocols}))
        print(alpn.selected(connect(context)))
        """,
        server,
    )
    assert said == f"{error}\nmqtt\n"
    assert server.seen.get_nowait() == ["mqtt"]


FOREIGN = [
    "None",
    "0",
    "'tls'",
    "tls",
    "tls.SSLContext",
    "socket.socket()",
    "make_context",
    "object()",
    "bytearray(8192)",
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_foreign_objects_are_refused(run: Run, foreign: str) -> None:
    said = run(f"print(error_of(alpn.set_protocols, {foreign}, ['mqtt']), error_of(alpn.selected, {foreign}))")
    assert said == "TypeError TypeError\n"


def test_classes_that_only_look_like_tls_objects_are_refused(run: Run) -> None:
    said = run(
        """
        class SSLSocket: pass
        class SSLContext: pass
        class Derived(tls.SSLContext): pass
        print(error_of(alpn.selected, SSLSocket()))
        print(error_of(alpn.set_protocols, SSLContext(), ["mqtt"]))
        print(error_of(alpn.set_protocols, Derived(tls.PROTOCOL_TLS_CLIENT), ["mqtt"]))
        print(error_of(alpn.selected, tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)))
        """
    )
    assert said == "TypeError\n" * 4


def test_closed_sockets_have_no_choice_to_tell(run: Run, serve: Serve) -> None:
    server = serve("mqtt")
    said = run(
        """
        context = make_context()
        alpn.set_protocols(context, ["mqtt"])
        tls_socket = connect(context)
        tls_socket.close()
        print(error_of(alpn.selected, tls_socket))
        tls_socket.close()
        del context
        gc.collect()
        print(error_of(alpn.selected, tls_socket))
        """,
        server,
    )
    assert said == "ValueError\nValueError\n"


def test_socket_whose_handshake_failed_counts_as_closed(run: Run, serve: Serve) -> None:
    server = serve("mqtt")
    said = run(
        """
        CA = b""
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)  # trusts nobody
        alpn.set_protocols(context, ["mqtt"])
        tls_socket = connect(context, handshake=False)
        print(error_of(tls_socket.write, b"x"))
        print(error_of(alpn.selected, tls_socket))
        """,
        server,
    )
    assert said == "OSError\nValueError\n"


def test_one_context_serves_many_connections(run: Run, serve: Serve) -> None:
    server = serve("mqtt")
    said = run(
        """
        context = make_context()
        alpn.set_protocols(context, ["mqtt"])
        for _ in range(5):
            tls_socket = connect(context)
            print(alpn.selected(tls_socket))
            tls_socket.close()
        """,
        server,
    )
    assert said == "mqtt\n" * 5
    assert [server.seen.get_nowait() for _ in range(5)] == [["mqtt"]] * 5


def test_stock_interpreter_has_no_such_module() -> None:
    for name in ("stock", "stock-1.25"):
        command = [*interpreters.need(name).command, "-c", "import alpn"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert "ImportError: no module named 'alpn'" in ended.stderr


def test_module_holds_two_functions_and_no_more(run: Run) -> None:
    said = run("import json; print(json.dumps(sorted(name for name in dir(alpn) if name[0] != '_')))")
    assert json.loads(said) == ["selected", "set_protocols"]
