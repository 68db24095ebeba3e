"""AWS IoT Jobs, MQTT-based file delivery, device shadows, and the registry of Things."""
