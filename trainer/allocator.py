"""What training asks of the C library's allocator."""

import ctypes
import platform

#: Parameters of glibc's mallopt (malloc.h).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Keeps freed blocks in the process, where the C library is glibc; elsewhere nothing happens.

    Every step of descent frees its activations and asks for the same sizes again. Left alone, glibc returns large blocks
    to the kernel, which clears each page anew when it is touched: a good part of a step on the CPU.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _LARGEST)
    mallopt(_TOP_PAD, 64 * 2**20)
