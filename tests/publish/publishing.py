"""Publishes from the journal and to the port named on the command line until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.publish.conftest import Rig


async def main() -> None:
    rig = Rig(Path(sys.argv[1]).parent, int(sys.argv[2]))
    async with rig.running():
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
