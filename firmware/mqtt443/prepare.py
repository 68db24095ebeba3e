"""Connects: brings up network and clock, then MQTT and the subscription. Loaded for that moment, then forgotten."""

from . import errors
from ._port import const, forget

_SYNC_AGAIN_MS = const(86400000)
# So many failures in a row are not Wi-Fi's word against ours any more: it is restarted though it says it is up.
_DISTRUST = const(3)
# A server that closes at SUBSCRIBE so many times has no commands for this board, and telemetry is worth more.
_SUBSCRIBE_TRIES = const(2)


def connect(app):
    """Return once app, an `App`, has a connection; raises what went wrong."""
    began_ms = app.uptime.ms()
    sync = not app.clock_good or began_ms >= app.sync_at_ms
    prepare(app, sync, app.clock_good, app.failures >= _DISTRUST)
    if sync:
        app.clock_good = True
        app.sync_at_ms = began_ms + _SYNC_AGAIN_MS
    session = app.client.connect()
    app.feed()
    app.connected_at_ms = app.uptime.ms()
    config = app.config
    app.log("connected to %s%s" % (config.endpoint, ", session kept" if session else ""))
    app.sender.begin(session)
    if config.commands and app.closed < _SUBSCRIBE_TRIES and not (session and app.subscribed):
        try:
            app.client.subscribe("commands/" + config.client_id, 1)
        except (errors.SubscribeRefused, errors.ConnectionLost) as e:
            app.closed += e.closed or e.slow  # AWS refuses by closing; a reset is the network's
            if app.closed == _SUBSCRIBE_TRIES:
                app.log("no commands: the server does not let this board subscribe to commands/<client id>")
            raise
        app.closed = 0
        app.subscribed = 1
    app.failures = 0


def prepare(app, sync, sure, distrust):
    """Return once there is a network, and with sync a clock that is right; raises WifiError, ClockError and others.

    app: an `App`. sure: whether the clock was good before. distrust: do not believe a Wi-Fi that says it is up.
    """
    config = app.config
    if config.wifi_ssid is not None:
        import network

        from .wifi import join

        join(network, config.wifi_ssid, config.wifi_password, distrust=distrust)
        app.feed()
    if sync:
        from .clock import rtc_setter, set_clock

        def connect():
            app.feed()  # the search for the time is many connections
            return app.client.transport.connect_http()

        set_clock(config.ntp_server, config.endpoint, connect, app.log, sure=sure, set_rtc=rtc_setter())
    forget("wifi", "clock", "http")
