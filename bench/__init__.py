"""Benchmarks of the board's link, compared with umqtt.simple and mqtt_as; run them with `python -m bench`."""
