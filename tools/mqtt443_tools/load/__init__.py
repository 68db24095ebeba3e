"""A fleet of MQTT clients that loads an endpoint, and measures how it answers."""
