"""Brings up network and clock before a connection. Loaded for that moment, then forgotten."""

from ._port import forget


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
