"""edged: from a handheld spectrometer's light to a verdict on MQTT."""

__version__ = "0.1.0"
