"""Stops one thread of another process, as a hung system call would, while all its other threads go on.

`python tests/deep/freeze.py THREAD_ID` (root) prints a line when the thread has stopped, holds it under ptrace, and
ends when it dies. When the program itself is ended, the thread goes on.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SEIZE, INTERRUPT = 0x4206, 0x4207  # <sys/ptrace.h>
WAIT_FOR_THREADS = 0x40000000  # __WALL


@contextmanager
def frozen(thread_id: int) -> Iterator[None]:
    """Keep a thread stopped for the length of the block. Its process can still be killed."""
    command = [sys.executable, str(Path(__file__)), str(thread_id)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline(), f"thread {thread_id} cannot be traced"
            yield
        finally:
            holder.kill()


def hold(thread_id: int) -> None:
    """Stop a thread, say so, and wait for its death: a dead thread that is traced has to be buried by its tracer."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for request in (SEIZE, INTERRUPT):
        if libc.ptrace(request, thread_id, None, None) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of thread {thread_id}")
    while True:
        _, status = os.waitpid(thread_id, WAIT_FOR_THREADS)
        if not os.WIFSTOPPED(status):
            return
        print("stopped", flush=True)


if __name__ == "__main__":
    hold(int(sys.argv[1]))
