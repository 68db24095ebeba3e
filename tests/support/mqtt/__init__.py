"""MQTT clients, endpoints and relays for tests."""
