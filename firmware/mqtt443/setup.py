"""Makes an `App` from config.json, and puts the watchdog off when it has ended. Loaded for the start, then forgotten.

Functions that live as long as the app must not be made here: each would keep this whole module in memory.
"""

import gc

from . import errors
from ._port import forget, ticks_ms

# The watchdog of an ESP32 cannot be stopped, only put off: so long at the prompt.
_AT_THE_PROMPT_S = 3600

# What is read of a config once the parts of the app are made; the rest is not kept.
KEPT = (
    "wifi_ssid wifi_password endpoint port client_id interval_s ttl_s commands ntp_server reset_after watchdog_s "
    "deep_sleep"
)


def make(path, root, stop, uptime):
    """Return the `App` for the config in the file root + path; None, and a line in the log, if it is not to run.

    root: folder in front of file names. stop: a function, True ends the loop, or None. uptime: an `Uptime`.
    """
    # One after the other, and each forgotten: together they are more than a plain ESP32 can compile.
    log = uptime.log
    from .start import begin

    reason, cause, kept = begin(root, log)
    if not reason:
        try:
            config = _config(root, path, log)
            forget("config")
            from .transport import Transport

            transport = Transport(config, root)
            forget("dial", "_tls")
        except (errors.ConfigError, errors.NoAlpn) as e:
            reason = str(e)
    if reason:
        log(reason)
        return None
    from .state import load

    interval_s = load(root + "state", log).get("interval_s")
    forget("start", "state", "files")
    log("transport %s: %s" % (transport.name, transport.why))
    from .app import App
    from .client import Client
    from .outbox import Outbox
    from .readings import Readings, reader
    from .settings import Config

    gc.collect()
    app = App(
        kept,
        config=config,
        client=Client(config, transport),
        outbox=Outbox(root + "outbox", config.outbox_bytes, log),
        readings=Readings(reader(uptime.ms), dict),
        uptime=uptime,
        stop=stop or bool,  # bool() is False
        feed=_watchdog(config.watchdog_s),
        root=root,
        cause=cause,
    )
    if isinstance(interval_s, int):
        app.interval_ms = interval_s * 1000
    app.config = Config({key: getattr(config, key) for key in KEPT.split(" ")})
    return app


def begin(app, kept):
    """Set what app, an `App` with its parts, starts from. kept: counters from before a reset, by name."""
    from .sender import Sender

    config = app.config
    app.log = app.uptime.log
    app.sender = Sender(app.client, app.outbox, config, app.published)
    app.interval_ms = config.interval_s * 1000
    app.due = ticks_ms()
    app.connected_at_ms = app.saved_at_ms = None
    app.sync_at_ms = 0
    app.clock_good = app.healthy = False
    app.end = None  # why the loop is to end: a reset's cause, or "" for deep sleep
    app.backoff = None  # made when there is something to wait for
    app.closed = 0  # how often the server closed at SUBSCRIBE
    app.older = 0  # published and not told of
    app.subscribed = kept.get("subscribed", 0)
    app.refused = kept.get("refused", 0)
    app.failures = kept.get("failures", 0)
    app.outbox.dropped = kept.get("dropped", 0)
    app.outbox.expired = kept.get("expired", 0)
    app.readings.seq = kept.get("seq", 0)
    app.readings.link = app.link
    app.client.set_callback(app.command)


def _config(root, path, log):
    from .config import load

    config = load(root + path, keep=True)
    if config.said:
        log(config.said)
    if config.wifi_ssid is not None:
        try:
            import network  # noqa: F401 (only whether it is there)
        except ImportError:
            raise errors.ConfigError("wifi: this board has no module network; leave wifi out")
    if config.safe_pin is not None:
        from .start import pin_held

        if pin_held(config.safe_pin):
            raise errors.ConfigError("safe mode: pin %d is held. Let go and press RESET" % config.safe_pin)
    return config


def _watchdog(seconds):
    """Start the watchdog, which resets the board after so many seconds without progress; return what feeds it."""
    if seconds:
        try:
            from machine import WDT

            return WDT(timeout=seconds * 1000).feed
        except ImportError:
            pass  # a host without a board around it
    return int  # does nothing, and is there


def finish(app):
    """Leave the board fit for its prompt; app: what `make` returned."""
    from .start import healthy

    healthy()
    if app and app.config.watchdog_s:
        _watchdog(_AT_THE_PROMPT_S)
