"""The daemon: the rooms put together, supervised, and made known to systemd and to the commands."""
