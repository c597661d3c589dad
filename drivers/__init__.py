"""Bytes to counts: links, framing, sessions and one file a device family. Imports nothing of the other packages."""
