"""The device package: a reading goes from sensors through MQTT on port 443 to AWS IoT Core."""
