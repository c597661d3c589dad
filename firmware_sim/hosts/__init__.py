"""Where a simulated instrument hangs: memory, a pseudo terminal, a socket, a USB bus of one kind or another."""
