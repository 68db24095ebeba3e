"""What follows an error: how long to wait, whether the board resets or sleeps, and the wait itself.

Imported on demand. It reads the App and returns the changes, which the App assigns.
"""

from ._port import const, phase
from .backoff import STABLE_MS, Backoff

# Readings in RAM go to flash at most this often: flash wears out.
_SAVE_AGAIN_MS = const(60000)


def plan(app, error, connected_ms):
    """Log error and return (wait_ms, backoff, clock_ok, failures, shutdown).

    app: an `App`. error: what ended an attempt, or a connection that was up for connected_ms. wait_ms: how long to wait
    before the next attempt. The others are new values of the App's attributes.
    """
    clock_ok = None if getattr(error, "doubts_clock", False) else app.clock_ok
    # An error that is not ours is a mistake in the program, or a lack of memory: a board in the field tries again,
    # later.
    refused = getattr(error, "is_refusal", True)
    # A server that accepts, then soon closes cleanly, refuses what the board does (AWS: the policy does not allow it).
    if getattr(error, "closed", False) and connected_ms < STABLE_MS:
        refused = True
    text = "%s: %s" % (type(error).__name__, error)
    app.log(text)
    failures = app.failures + 1
    backoff = app.backoff
    if not backoff:
        backoff = Backoff(app.random)
        for _ in range(min(failures - 1, 9)):  # from before a reset
            backoff.delay_ms(True)
            backoff.delay_ms(False)
    wait_ms = backoff.delay_ms(refused, connected_ms)
    shutdown = app.shutdown
    trial_left_ms = None if app.trial_end_ms is None else app.trial_end_ms - app.uptime.ms()
    if trial_left_ms is not None and trial_left_ms <= 0:
        with phase():
            from .trial import failed

            failed(app.root, text)
        shutdown = "trial failed; " + text[:100]
    # A reset cannot help if the server answers and refuses.
    elif getattr(error, "reset_helps", True) and failures == app.config.reset_after:
        shutdown = "%d failures; %s" % (failures, text[:100])
        failures = 0
    elif app.config.deep_sleep and trial_left_ms is None:
        shutdown = app.SLEEP
    else:
        if trial_left_ms is not None:
            wait_ms = min(wait_ms, trial_left_ms)
        app.log("next attempt in %d.%d s" % (wait_ms // 1000, wait_ms % 1000 // 100))
    return wait_ms, backoff, clock_ok, failures, shutdown


def wait(app, wait_ms):
    """Wait wait_ms, or until the App should stop; readings continue. Return the new value of the App's saved_at_ms.

    app: an `App`. A board with deep sleep does not wait here: it wakes for each reading, and connects at the first wake
    after wait_ms.
    """
    if app.shutdown == app.SLEEP:
        app.take_reading_if_due()
        return app.saved_at_ms
    saved_at_ms = app.saved_at_ms
    while wait_ms > 0 and not app.should_stop():
        piece_ms = min(max(app.take_reading_if_due(), 1), wait_ms, app.PIECE_MS)
        now_ms = app.uptime.ms()
        if app.outbox.unsaved() and (saved_at_ms is None or now_ms - saved_at_ms >= _SAVE_AGAIN_MS):
            saved_at_ms = now_ms
            app.outbox.save()
        app.sleep(piece_ms)
        wait_ms -= piece_ms
        app.feed_watchdog()
    return saved_at_ms
