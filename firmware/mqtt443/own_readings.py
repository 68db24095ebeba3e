"""The board's readings of itself, used if there is no sensors.py. Stays in memory only then."""

import gc


def own_readings(uptime):
    """Return the board's own readings, as functions by name: those that this chip and interpreter support.

    uptime: a function that returns milliseconds.
    """
    readings = {"uptime_s": lambda: uptime() // 1000}
    if hasattr(gc, "mem_free"):
        readings["heap_free_bytes"] = gc.mem_free
    try:
        import network

        wlan = network.WLAN(network.STA_IF)
        if wlan.isconnected():
            readings["wifi_rssi_dbm"] = lambda: wlan.status("rssi")
    except (ImportError, AttributeError):
        pass  # no Wi-Fi here
    try:
        import esp32

        if hasattr(esp32, "mcu_temperature"):  # S2, S3, C3, C6
            readings["chip_temperature_c"] = esp32.mcu_temperature
        elif hasattr(esp32, "raw_temperature"):  # the first ESP32, in Fahrenheit
            readings["chip_temperature_c"] = lambda: round((esp32.raw_temperature() - 32) / 1.8, 1)
    except ImportError:
        pass  # no chip
    return readings


def reader(uptime):
    """Return a function that returns the board's own readings; uptime: a function that returns milliseconds."""
    return lambda: own_readings(uptime)
