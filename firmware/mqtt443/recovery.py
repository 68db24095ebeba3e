"""What the board does after an error, and when its loop ends. Loaded for that moment, then forgotten."""

from . import errors
from ._port import const, forget, random_below, sleep_ms, ticks_add, ticks_diff, ticks_ms
from .backoff import STABLE_MS, Backoff

# Waits are cut into pieces, so that `stop` is asked at least once a second.
_PIECE_MS = const(1000)
# Readings in memory go to flash at most so often while the link is down: flash wears, and a power cut costs no more.
_SAVE_AGAIN_MS = const(60000)
_DRAIN_MS = const(2000)


def recover(app, error):
    """Log error, close, and wait as long as it and the time connected call for; readings go on. app: an `App`."""
    app.client.close()
    connected_ms = 0
    if app.connected_at_ms is not None:
        connected_ms = app.uptime.ms() - app.connected_at_ms
        app.connected_at_ms = None
    if isinstance(error, (errors.ClockError, errors.CertificateExpired)):
        app.clock_good = False
    # Anything that is not ours is a mistake in the program, or no memory: a board in the field goes on, later.
    refused = getattr(error, "slow", True)
    # A server that accepts and soon closes in order refuses what the board does (AWS: policy too small).
    if getattr(error, "closed", False) and connected_ms < STABLE_MS:
        refused = True
    text = "%s: %s" % (type(error).__name__, error)
    app.log(text)
    forget("faults", "causes")
    app.failures += 1
    if not app.backoff:
        app.backoff = Backoff(random_below)
        for _ in range(min(app.failures - 1, 9)):  # from before a reset
            app.backoff.delay_ms(True)
            app.backoff.delay_ms(False)
    wait_ms = app.backoff.delay_ms(refused, connected_ms)
    # A server that answers, and refuses, is no reason: a reset cannot mend that.
    if not isinstance(error, errors.Refused) and app.failures == app.config.reset_after:
        app.end = "%d failures; %s" % (app.failures, text[:100])
        app.failures = 0
    elif app.config.deep_sleep:
        app.measure()
        app.due = ticks_add(ticks_ms(), max(ticks_diff(app.due, ticks_ms()), wait_ms))
        app.end = ""
    else:
        app.log("next attempt in %d.%d s" % (wait_ms // 1000, wait_ms % 1000 // 100))
    while wait_ms > 0 and not app.over():
        piece_ms = min(max(app.measure(), 1), wait_ms, _PIECE_MS)
        now_ms = app.uptime.ms()
        if app.outbox.unsaved() and (app.saved_at_ms is None or now_ms - app.saved_at_ms >= _SAVE_AGAIN_MS):
            app.saved_at_ms = now_ms
            app.outbox.save()
        sleep_ms(piece_ms)
        wait_ms -= piece_ms
        app.progress()


def goodbye(app, drain):
    """Disconnect, and save what is left; then reset or sleep if that is how app ends.

    app: an `App`. drain: give what is in flight a moment before.
    """
    if app.connected_at_ms is not None:
        try:
            left_ms = _DRAIN_MS
            while drain and app.outbox.flying and left_ms > 0:
                app.sender.pump()
                app.client.wait(100)
                left_ms -= 100
            app.client.packets.drop()
            app.client.disconnect()
            app.log("disconnected")
        except Exception as e:  # whatever it is: the readings are still to be saved
            app.log("disconnect: %s" % e)
    app.outbox.save()
    if app.end is None:
        return
    from .ending import deep_sleep, reset

    if app.end:
        app.log("reset: " + app.end)
        reset(app.root, app.end, app.counters(), app.log)
    else:
        left_ms = max(ticks_diff(app.due, ticks_ms()), 1000)
        app.log("asleep for %d s" % (left_ms // 1000))
        deep_sleep(left_ms, app.counters())
    app.log("not possible here")
