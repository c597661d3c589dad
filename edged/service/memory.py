"""What the C library's allocator keeps for itself, beside what the daemon needs. Only glibc knows these calls."""

from __future__ import annotations

import ctypes

M_ARENA_MAX = -8  # malloc.h


def use_one_arena() -> None:
    """Let all threads allocate from one heap, before any is started: each of their own keeps what it once used.

    They seldom run at once, since Python lets one of them at a time.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(M_ARENA_MAX, 1)


def give_back() -> None:
    """Return free memory to the system: some 3 MB after the configuration and the model were loaded."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
