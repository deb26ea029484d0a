"""Memory of past steps is kept for the next ones."""

import numpy as np

# Less than the limit up to which glibc adapts its threshold, 32 MiB on 64-bit systems.
LARGEST = 31 << 20


def keep_freed_memory() -> None:
    """Let the C library keep freed arrays instead of handing their pages back to the system.

    Each training step makes and frees the same few arrays. glibc returns memory that lies free
    at the end of its heap as soon as there is more than a threshold of it, and the next step
    pays for every page of 4 KiB again: 1,200 page faults and a tenth of the time of a step with
    N x T = 50 x 50 and H = 128. The threshold is twice the largest block that was mapped by
    itself and freed so far ("Dynamic adjustment of the mmap threshold", ``man mallopt``): so
    one is allocated and freed here, without touching its pages. Harmless in other C libraries.
    """
    np.empty(LARGEST, np.uint8)
