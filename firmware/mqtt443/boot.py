"""From power-on to a running `App`, and back to the prompt.

Counts starts, so that three crashes in a row end at the prompt (safe mode); reads config.json and sensors.py; makes the
parts of the App. Imported on demand, so it must not define any function that lives as long as the App.
"""

import gc
import os

from . import errors
from ._port import const, phase

# The timeout at the prompt of a watchdog that is running: an ESP32's watchdog cannot be disabled.
_PROMPT_S = const(3600)

# The config keys that the App reads; the others are needed only to make its parts, and are not kept.
RUNTIME_KEYS = (
    "wifi_ssid wifi_password endpoint port client_id interval_s ttl_s commands ntp_server reset_after watchdog_s "
    "deep_sleep topic qos window timeout_s updates"
)


def start(path, root, stop, write, handlers):
    """Return the `App` for the config in the file root + path; None, after a log line, if it must not run.

    root: folder in front of file names. stop: a function that returns True to end the loop, or None. write: takes one
    line of the log. handlers: the user's functions by command name.
    """
    from .app import App, Uptime

    uptime = Uptime(write)
    log = uptime.log
    # One part after the other: a plain ESP32 has no memory to compile them together.
    with phase():
        reason, cause, restored, interval_s = count_start(root, log)
    candidate = trial_s = None
    while not reason:
        if "update" in os.listdir(root or "."):
            with phase():
                from .trial import begin

                candidate, trial_s = begin(root)
        try:
            with phase():
                config = _load_config(root, candidate or path, log, not candidate)
            from .transport import Transport

            with phase():
                transport = Transport(config, root)
            break
        except (errors.ConfigError, errors.NoAlpn) as e:
            reason = str(e)
        if trial_s:
            log("trial: " + reason)
            with phase():
                from .trial import failed

                if failed(root, reason):
                    reason = None  # the old state is back
    if reason:
        log(reason)
        return None
    log("transport %s: %s" % (transport.name, transport.why))
    from .client import Client
    from .config import Config
    from .outbox import Outbox
    from .readings import Readings

    feed = start_watchdog(config.watchdog_s or (trial_s and _PROMPT_S))  # first, because sensors.py may hang too
    read, failure = load_sensors()
    if not (read or failure):
        from .own_readings import reader

        read = reader(uptime.ms)
    outbox_bytes = config.outbox_bytes
    if not outbox_bytes:
        with phase():
            from .job_record import outbox_bytes as allowed

            outbox_bytes = allowed(root, trial_s)
    gc.collect()
    app = App(
        Config({key: getattr(config, key) for key in RUNTIME_KEYS.split(" ")}),
        Client(config, transport),
        Outbox(root + "outbox", outbox_bytes, log),
        Readings(read, dict, max_bytes=config.max_payload_bytes, failure=failure),
        uptime,
        handlers=handlers,
        root=root,
        cause=cause,
        restored=restored,
        interval_s=interval_s,
        stop=stop or bool,
        feed=feed,
        path=path,
        trial_s=trial_s,
    )
    if config.notice:
        app.news["config"] = config.notice[:150]
    return app


def finish(config):
    """Leave the board ready for its prompt. config: the App's, or None if there was none."""
    with phase():
        from .power import mark_boot_ok

        mark_boot_ok()
    if config and config.watchdog_s:
        start_watchdog(_PROMPT_S)


def count_start(root, log):
    """Count this start; return (reason, cause, counters, interval_s).

    root: folder in front of file names. log: takes a line.
    reason: a text if the board must stay at its prompt, else None. It must if the file `safe_mode` exists, or if the
    last three starts all ended in a crash, that is, in a reset of any kind before `power.mark_boot_ok`. Power-on and
    deep sleep do not count as crashes.
    cause: why the board started, for its next message: what `power.reset` saved, else "watchdog" or "reset" (a panic,
    or `machine.reset()` called by other code) or "soft reset"; None after power-on, deep sleep, and a soft reset at the
    prompt.
    counters: what `power` left in RTC memory, whole numbers by name.
    interval_s: what the command `interval` set, in seconds; None for the config's.
    """
    from . import storage

    try:
        from machine import reset_cause

        code = reset_cause()
    except ImportError:
        code = 1
    counters = {"starts": 0}
    for name, count in storage.recall().items():
        if isinstance(count, int):
            counters[name] = count
    starts = counters.pop("starts")
    if code != 4 and "subscribed" in counters:
        counters["subscribed"] &= 3  # the policy may have changed; but a sleeping board would be denied at every wake
    what = None
    # ESP32 (modmachine.h): 1 power-on, also RESET and a brownout, 2 reset or panic, 3 watchdog, 4 deep sleep, 5 soft
    # reset; 0 for unknown.
    if code in (1, 4):
        starts = 0
    elif code == 5:
        what = "soft reset" if starts > 0 else None  # at the prompt, the count is 0
    else:
        what = "watchdog" if code == 3 else "reset"
    values = storage.load_state(root + "state", log)
    saved = values.get("cause")
    new = reason = None  # a saved cause is reported once
    try:
        os.stat(root + "safe_mode")
        new = saved
        reason = "delete the file safe_mode"
    except OSError:
        if starts >= 3:
            # The next message reports it too: there may be nobody at the prompt.
            new = reason = "three crashes in a row; the last: " + what
    if reason:
        starts = -1  # so that the next reset tries again
        reason = "safe mode: %s. Press RESET to try again" % reason
    try:
        counters["starts"] = starts + 1
        storage.remember(counters)
        if saved != new:
            values["cause"] = new
            storage.save_state(root + "state", values)
    except (OSError, ValueError) as e:
        log("state: %s" % e)
    interval_s = values.get("interval_s")
    return (
        reason,
        saved if isinstance(saved, str) else what,
        counters,
        interval_s if isinstance(interval_s, int) else None,
    )


def _load_config(root, path, log, keep):
    from .config_schema import load

    config = load(root + path, keep)
    if config.notice:
        log(config.notice)
    if config.wifi_ssid is not None:
        try:
            import network  # noqa: F401 (only whether it exists)
        except ImportError:
            raise errors.ConfigError("wifi: this board has no module network; leave wifi out")
    if config.safe_pin is not None and pin_held(config.safe_pin):
        raise errors.ConfigError("safe mode: pin %d is held. Let go and press RESET" % config.safe_pin)
    return config


def pin_held(number):
    """Return whether the pin with that number is held low; the chip pulls it up.

    Raises ConfigError if the chip has no such pin.
    """
    try:
        from machine import Pin

        return not Pin(number, Pin.IN, Pin.PULL_UP).value()
    except ImportError:
        return False
    except ValueError:
        raise errors.ConfigError("safe_pin: this chip has no pin %d" % number)


def load_sensors():
    """Return (read, failure): the function `read` of sensors.py in the board's root, or why it cannot be used.

    failure: a text if the file cannot be imported or has no `read`. Both are None if the file does not exist.
    Raises only KeyboardInterrupt, whatever the file does.
    """
    from .readings import reason

    if _marked():
        return None, "sensors.py begins with a byte order mark; save it as UTF-8 without one"
    try:
        import sensors

        return sensors.read, None
    except BaseException as e:  # also SystemExit
        # A missing file is no error, but a missing module that it imports is one.
        return None, None if isinstance(e, ImportError) and "'sensors'" in str(e) else reason(e)


def _marked():
    """Return whether sensors.py begins with a byte order mark, which CPython takes and MicroPython does not."""
    try:
        with open("sensors.py", "rb") as file:
            return file.read(3) == b"\xef\xbb\xbf"
    except OSError:
        return False


def start_watchdog(seconds):
    """Start the watchdog, which resets the board after that many seconds without a feed; return the function that feeds
    it.

    With 0 seconds, or on a host, the function does nothing.
    """
    if seconds:
        try:
            from machine import WDT

            return WDT(timeout=seconds * 1000).feed
        except ImportError:
            pass  # a host
    return int
