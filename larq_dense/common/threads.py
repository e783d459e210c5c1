"""How many threads a runtime takes."""

from larq_dense.common.errors import LarqDenseError

MAX_THREADS = 64
"""As in native/src/thread_pool.h."""


def check_threads(num_threads: int) -> None:
    """Raise LarqDenseError unless the runtimes take so many threads."""
    if not 1 <= num_threads <= MAX_THREADS:
        raise LarqDenseError(f"num_threads must be 1 to {MAX_THREADS}, not {num_threads}.")
