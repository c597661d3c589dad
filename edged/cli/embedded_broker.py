"""`python -m edged.cli.embedded_broker PORT`: an MQTT 3.1.1 broker in Python, for a demo without Mosquitto.

It listens on the loopback only, keeps nothing, and ends with SIGTERM or when its standard input closes.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import warnings


async def serve(port: int) -> None:
    """Serve until told to stop."""
    warnings.simplefilter("ignore")  # of the package's own dependencies; nothing a spectator of a demo can mend
    from amqtt.broker import Broker

    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    broker = Broker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "plugins": anonymous})
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), stop.set)
    await broker.start()
    await stop.wait()
    await broker.shutdown()


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    asyncio.run(serve(int(sys.argv[1])))
