"""Simulated spectrometers: the other end of the wire, written from the drivers' facts but never from them."""
