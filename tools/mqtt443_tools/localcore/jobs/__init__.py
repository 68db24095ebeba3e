"""AWS IoT Jobs, MQTT-based file delivery, and the registry of Things."""
