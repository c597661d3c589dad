"""Streams of bytes: a serial port for real, memory, faulty and replay for tests."""
