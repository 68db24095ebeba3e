"""DS18B20 thermometers, as many as hang on one wire at GPIO 4. The drivers are in every MicroPython image for ESP32."""

from time import sleep_ms

from ds18x20 import DS18X20
from machine import Pin
from onewire import OneWire

CONVERT_MS = 750  # at 12 bits (DS18B20 data sheet, "Thermometer Resolution Configuration")
POWER_ON_C = 85.0  # what a sensor reads that has not converted yet

bus = DS18X20(OneWire(Pin(4)))


def read():
    """Return a function for each sensor, so that one that fails costs only its own reading."""
    sensors = bus.scan()
    if not sensors:
        raise ValueError("no DS18B20 answers on GPIO 4")
    bus.convert_temp()
    sleep_ms(CONVERT_MS)
    return {"temperature_%s_c" % rom.hex(): reader(rom) for rom in sensors}


def reader(rom):
    """Return a function that reads the sensor with this address."""

    def temperature():
        value = bus.read_temp(rom)
        if value == POWER_ON_C:
            raise ValueError("not converted: too little power on the wire?")
        return value

    return temperature
