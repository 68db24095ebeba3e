"""A MicroPython whose tls objects have another layout: emulated by changing words of real ones."""

import json

from tests.firmware.image.conftest import Run, Serve

# While an object is changed nothing else may touch it, so the collector rests.
CHANGES = """
import json, uctypes
WORD = uctypes.sizeof({"pointer": (uctypes.PTR, uctypes.VOID)})

def memory_of(thing, size):
    address = id(thing)
    if address < 0:  # a 32-bit id() loses the highest bit of some addresses
        address &= 0x7FFFFFFF
    return uctypes.bytearray_at(address, size)

def outcome_of(call, memory):
    snapshot[:] = memory
    try:
        return str(call())
    except Exception as error:
        return type(error).__name__ if memory == snapshot else "written!"

def wipe_each_word(memory, call):
    "Wipe each word but the first, the type, in turn; tell which words gave which outcome."
    outcomes = {}
    for at in range(WORD, len(memory), WORD):
        saved = bytes(memory[at:at + WORD])
        gc.disable()
        memory[at:at + WORD] = bytes(WORD)
        outcome = outcome_of(call, memory)
        memory[at:at + WORD] = saved
        gc.enable()
        outcomes.setdefault(outcome, []).append(at)
    return outcomes
"""

CONTEXT = """
context = None
gc.collect()
before = gc.mem_alloc()
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
memory = memory_of(context, gc.mem_alloc() - before)
snapshot = bytearray(len(memory))
set_mqtt = lambda: alpn.set_protocols(context, ["mqtt"])
"""


def test_unknown_context_layout_is_refused_and_left_unchanged(run: Run) -> None:
    said = run(CHANGES + CONTEXT + "print(json.dumps([len(memory) // WORD, wipe_each_word(memory, set_mqtt)]))")
    words, outcomes = json.loads(said)
    # The verify callback and its argument, the random generator and its argument: without any one, no configuration.
    assert len(outcomes.pop("RuntimeError")) == 4
    assert len(outcomes.pop("None")) == words - 5
    assert outcomes == {}


def test_ambiguous_context_layout_is_refused_and_left_unchanged(run: Run) -> None:
    said = run(
        CHANGES
        + CONTEXT
        + """
places = wipe_each_word(memory, set_mqtt)["RuntimeError"]
shift = WORD
while any(place + shift in places for place in places):
    shift += WORD
gc.disable()
copies = [(place + shift, memory[place:place + WORD], memory[place + shift:place + shift + WORD]) for place in places]
for at, word, _ in copies:
    memory[at:at + WORD] = word
outcome = outcome_of(set_mqtt, memory)
for at, _, word in copies:
    memory[at:at + WORD] = word
print(outcome, outcome_of(set_mqtt, memory))
"""
    )
    assert said == "RuntimeError None\n"


def test_socket_with_another_layout_is_refused(run: Run, serve: Serve) -> None:
    said = run(
        CHANGES
        + """
context = make_context()
alpn.set_protocols(context, ["mqtt"])
raw = socket.socket()
raw.connect(socket.getaddrinfo("127.0.0.1", PORT)[0][-1])
tls_socket = None
gc.collect()
before = gc.mem_alloc()
tls_socket = context.wrap_socket(raw, server_hostname="localhost")
memory = memory_of(tls_socket, gc.mem_alloc() - before)
snapshot = bytearray(len(memory))
print(json.dumps([len(memory) // WORD, wipe_each_word(memory, lambda: alpn.selected(tls_socket))]))
""",
        serve("mqtt"),
    )
    words, outcomes = json.loads(said)
    # Without its context the socket is unknown. Without the configuration, the send function or its argument there is
    # no session, and without the state no end of the handshake. Without the chosen name there was no choice.
    assert {outcome: len(places) for outcome, places in outcomes.items()} == {
        "RuntimeError": 1,
        "ValueError": 4,
        "None": 1,
        "mqtt": words - 7,
    }
