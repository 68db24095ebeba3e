"""The class `ADC` of `machine`: an analogue input; `adc_uv` in world.json has the microvolts at each pin."""

import _world


class ADC:
    """An analogue input."""

    def __init__(self, pin):
        self._pin = pin

    def read_uv(self):
        """Return the voltage in microvolts."""
        return _world.look("adc_uv", {}).get(str(self._pin._id), 0)
