"""What a process of the hub does so that its memory stays what it is: glibc gives back, cycles are collected in time.

Left alone, the collector looks at everything only when a quarter has been added to 100,000 objects of modules, and what
asyncio leaves behind each closed connection (a transport points at itself) lies about for as long.
"""

import gc
from collections.abc import Mapping
from typing import Final

COLLECT_EVERY_S: Final = 60.0
# glibc keeps what was freed: in an arena for each thread; and once it has seen a large array freed, later ones come
# from the heap, which does not shrink again. Ten minutes of samples looked at again left 30 MB in a process of 60.
GIVES_BACK: Final[Mapping[str, str]] = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "262144",
    "MALLOC_TRIM_THRESHOLD_": "1048576",
}


def settle() -> None:
    """Once all modules are there: they stay, so that a collection of everything takes milliseconds from here on."""
    gc.collect()
    gc.freeze()


def collect() -> None:
    """Once in a while: whatever went in circles."""
    gc.collect()
