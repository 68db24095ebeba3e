"""How long the names live: through every collection while they are needed, and not longer than their context."""

from tests.firmware.image.conftest import Run, Serve

# Fills the heap with blocks that look like anything but a list of names, then frees and collects: memory that was
# freed too early is overwritten by it.
CHURN = """
def churn():
    gc.collect()
    junk = []
    for size in (16, 32, 48, 64, 128) * 40:
        junk.append(bytearray(b"\\x01\\x02\\x03\\x04\\x05\\x06\\x07\\x08" * (size // 8)))
    del junk
    gc.collect()

def name(*parts):
    return "".join(parts)  # made at run time: no literal of the program keeps it
"""


def test_names_outlive_collections_at_every_step(run: Run, serve: Serve) -> None:
    server = serve("mqtt-late")
    said = run(
        CHURN
        + """
context = make_context()
names = [name("http", "/9"), name("mqtt", "-late")]
alpn.set_protocols(context, names)
names.clear()
del names
churn()
tls_socket = connect(context, handshake=False)
churn()
tls_socket.write(b"x")
churn()
print(alpn.selected(tls_socket))
del context  # the socket keeps it
churn()
print(alpn.selected(tls_socket), tls_socket.read(1))
tls_socket.close()
churn()
""",
        server,
    )
    assert server.seen.get_nowait() == ["http/9", "mqtt-late"]
    assert said == "mqtt-late\nmqtt-late b'X'\n"


def test_changed_alpn_list_does_not_affect_an_open_session(run: Run, serve: Serve) -> None:
    server = serve("mqtt-first", "mqtt-second")
    said = run(
        CHURN
        + """
context = make_context()
alpn.set_protocols(context, [name("mqtt", "-first")])
first = connect(context)
alpn.set_protocols(context, [name("mqtt", "-second")])
churn()
print(alpn.selected(first))
first.close()
second = connect(context)
churn()
print(alpn.selected(second))
""",
        server,
    )
    assert said == "mqtt-first\nmqtt-second\n"
    assert [server.seen.get_nowait() for _ in range(2)] == [["mqtt-first"], ["mqtt-second"]]


def test_many_contexts_each_keep_their_own_list(run: Run, serve: Serve) -> None:
    server = serve(*(f"p{number}" for number in range(12)))
    said = run(
        CHURN
        + """
contexts = []
for number in range(12):
    contexts.append(make_context())
    alpn.set_protocols(contexts[-1], [name("q", str(number)), name("p", str(number))])
    tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)  # garbage among them
    churn()
while contexts:
    context = contexts.pop(len(contexts) // 2)
    tls_socket = connect(context)
    churn()
    print(alpn.selected(tls_socket))
    tls_socket.close()
    del context, tls_socket
    churn()
""",
        server,
    )
    order = [6, 5, 7, 4, 8, 3, 9, 2, 10, 1, 11, 0]
    assert said.split() == [f"p{number}" for number in order]
    assert [server.seen.get_nowait() for _ in order] == [[f"q{number}", f"p{number}"] for number in order]


def test_contexts_and_open_sockets_dropped_together_do_no_harm(run: Run, serve: Serve) -> None:
    server = serve("mqtt")
    said = run(
        CHURN
        + """
kept = make_context()
alpn.set_protocols(kept, [name("mq", "tt")])
survivor = connect(kept)
survivor.write(b"x")
survivor.close()
for _ in range(8):
    dropped = make_context()
    alpn.set_protocols(dropped, [name("drop", "ped"), name("mq", "tt")])
    print(alpn.selected(connect(dropped)))
    del dropped
    churn()
print(alpn.selected(connect(kept)))
""",
        server,
    )
    assert said == "mqtt\n" * 9
    offers = [["mqtt"], *[["dropped", "mqtt"]] * 8, ["mqtt"]]
    assert [server.seen.get_nowait() for _ in offers] == offers


def test_lists_are_freed_with_their_contexts_and_when_replaced(run: Run) -> None:
    said = run(
        CHURN
        + """
offer = ["m"] * 1000  # a list of 4 or 8 KB
def replace():
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    for _ in range(20):
        alpn.set_protocols(context, offer)
def renew():
    for _ in range(20):
        alpn.set_protocols(tls.SSLContext(tls.PROTOCOL_TLS_CLIENT), offer)
for work in (replace, renew):
    work()
    churn()
    before = gc.mem_alloc()
    for _ in range(5):
        work()
    churn()
    print(gc.mem_alloc() - before < 8000)
"""
    )
    assert said == "True\nTrue\n"
