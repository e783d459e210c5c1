"""One process at a time trains in a run's folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.files import remove_unfinished
from larq_dense.training.run import Run

# A process that only looks whether a run is finished holds the lock for a moment.
_SECONDS = 2.0


@contextmanager
def alone_in(run_dir: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder, which is made if missing.

    Two of them would both write checkpoints and best weights, each file whole, but not of one run.
    The operating system releases the lock of a process that is killed.

    Raises:
        LarqDenseError: Another process is there, or the folder cannot be written.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(Run(run_dir).lock).acquire(timeout=_SECONDS)
    except Timeout as error:
        raise LarqDenseError(
            f"another process trains in {run_dir}; wait for it, stop it, or name another folder."
        ) from error
    except OSError as error:
        raise LarqDenseError(
            f"cannot write in {run_dir}: {error.strerror}; choose another place or make room."
        ) from error
    with lock:
        remove_unfinished(Run(run_dir).checkpoint)
        yield
