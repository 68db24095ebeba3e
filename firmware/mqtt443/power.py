"""How the loop ends: DISCONNECT, readings saved, then a reset or deep sleep. Also clears the count of crashes.

Imported on demand. `boot.count_start` reads what this module saves.
"""

from . import storage
from ._port import const, ticks_diff

# How long an orderly end waits for messages in flight to be acknowledged.
_DRAIN_MS = const(2000)
_DRAIN_PIECE_MS = const(100)


def leave(app, drain):
    """Disconnect and save the remaining readings; then reset or sleep if the loop ended for that.

    app: an `App`. drain: first wait up to 2 s for the PUBACKs of messages in flight.
    """
    if app.connected_at_ms is not None:
        try:
            left_ms = _DRAIN_MS
            while drain and app.outbox.in_flight and left_ms > 0:
                app.sender.pump()
                app.client.wait(_DRAIN_PIECE_MS)
                left_ms -= _DRAIN_PIECE_MS
            app.client.packets.discard_output()
            app.client.disconnect()
            app.log("disconnected")
        except Exception as e:  # any error: the readings must still be saved
            app.log("disconnect: %s" % e)
    app.outbox.save()
    if app.shutdown is None:
        return
    if app.shutdown == app.SLEEP:
        left_ms = max(ticks_diff(app.next_reading_at, app.ticks()), 1000)
        app.log("asleep for %d s" % (left_ms // 1000))
        counters = app.counters()
        wait_ms = ticks_diff(app.retry_at, app.ticks()) - left_ms
        if wait_ms > 0:
            counters["wait_s"] = wait_ms // 1000
        deep_sleep(left_ms, counters)
    else:
        app.log("reset: " + app.shutdown)
        reset(app.root, app.shutdown, app.counters(), app.log)
    app.log("not possible here")


def reset(root, cause, counters, log):
    """Reset the board; `boot.count_start` restores cause and counters.

    root: folder in front of file names. cause: a text; None saves nothing. counters: whole numbers by name.
    Does not return on a board, even if a step fails (the log names it). Returns False where no reset exists.
    """
    try:
        from machine import reset
    except ImportError:
        return False
    _remember(counters)
    if cause:
        try:
            values = storage.load_state(root + "state", log)
            values["cause"] = cause
            storage.save_state(root + "state", values)
        except Exception as e:  # the reason for the reset may be a lack of memory
            log("state: %s" % e)
    reset()
    return True


def deep_sleep(ms, counters):
    """Sleep ms milliseconds, at least 1, and start again with counters (whole numbers by name).

    Does not return on a board; returns False where no deep sleep exists.
    """
    try:
        from machine import deepsleep
    except ImportError:
        return False
    _remember(counters)
    deepsleep(max(ms, 1))  # 0 would sleep without end
    return True


def _remember(counters):
    counters["starts"] = 0
    try:
        storage.remember(counters)
    except Exception:
        pass  # a board that does not reset is stuck; one that does not sleep drains its battery


def mark_boot_ok():
    """Clear the count of starts: this start does not count as a crash. Also called when `mqtt443.run` returns."""
    values = storage.recall()
    if values.get("starts"):
        values["starts"] = 0
        storage.remember(values)
