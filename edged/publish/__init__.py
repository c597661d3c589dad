"""Views of the journal on MQTT: late, repeated or absent, never wrong."""
