"""A BME280 on I2C: SDA at GPIO 21, SCL at GPIO 22. requirements.txt names its driver."""

from bme280_float import BME280
from machine import I2C, Pin

ADDRESSES = 0x76, 0x77  # SDO at ground, or at 3.3 V (BME280 data sheet, "I2C Interface")

bus = I2C(0, sda=Pin(21), scl=Pin(22), freq=100000)
sensor = None


def read():
    """Return temperature, humidity and pressure; a sensor that was unplugged is looked for again."""
    global sensor
    try:
        if sensor is None:
            sensor = find()
        temperature_c, pressure_pa, humidity_percent = sensor.read_compensated_data()
    except Exception:
        sensor = None
        raise
    return {
        "temperature_c": round(temperature_c, 2),
        "humidity_percent": round(humidity_percent, 1),
        "pressure_hpa": round(pressure_pa / 100, 1),
    }


def find():
    """Return the sensor."""
    for address in bus.scan():
        if address in ADDRESSES:
            return BME280(address=address, i2c=bus)
    raise OSError("no BME280 answers at 0x76 or 0x77: check SDA, SCL and 3V3")
