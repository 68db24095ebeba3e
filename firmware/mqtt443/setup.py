"""Makes an `App` from config.json, and puts the watchdog off when it has ended. Loaded for the start, then forgotten.

Functions that live as long as the app must not be made here: each would keep this whole module in memory.
"""

import gc

from . import errors
from ._port import forget, random_below

# The watchdog of an ESP32 cannot be stopped, only put off: so long at the prompt.
_AT_THE_PROMPT_S = 3600


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
    from .backoff import Backoff
    from .client import Client
    from .outbox import Outbox
    from .readings import Readings, reader

    gc.collect()
    app = App(
        config,
        Client(config, transport),
        Outbox(root + "outbox", config.outbox_bytes, log),
        Readings(reader(uptime.ms), dict),
        backoff=Backoff(random_below),
        uptime=uptime,
        stop=stop or bool,  # bool() is False
        feed=_watchdog(config.watchdog_s),
        root=root,
        cause=cause,
        kept=kept,
    )
    if isinstance(interval_s, int):
        app.interval_ms = interval_s * 1000
    return app


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
