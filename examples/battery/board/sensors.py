"""A battery on GPIO 35 behind two equal resistors; config.json lets the board sleep between readings."""

from machine import ADC, Pin

DIVIDER = 2  # 100 kOhm to the battery, 100 kOhm to ground
EMPTY_V = 3.3

battery = ADC(Pin(35))


def read():
    """Return the battery's voltage; `battery_low` asks for a charge."""
    volts = battery.read_uv() * DIVIDER / 1000000
    return {"battery_v": round(volts, 2), "battery_low": volts < EMPTY_V}
