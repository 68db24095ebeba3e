"""A validated config.json, as attributes. `config_schema` makes it and is then unloaded; a board keeps only this."""


class Config:
    """One attribute per key of `config_schema.FIELDS`, None for what is absent; `wifi_ssid`, `wifi_password` for wifi.

    `topic` and `will_topic` have the client id filled in. `mqtt_username` is the user name as CONNECT carries it, or
    None.
    """

    def __init__(self, values):
        for key in values:
            setattr(self, key.replace(".", "_"), values[key])

    def __repr__(self):
        # Never the values: some are secrets.
        return "Config(%s at %s:%d)" % (self.client_id, self.endpoint, self.port)
