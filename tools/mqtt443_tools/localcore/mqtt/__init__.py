"""The MQTT engine: packets, sessions, the broker."""
