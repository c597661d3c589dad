"""The firmware of the simulated instruments, one file a device family."""
