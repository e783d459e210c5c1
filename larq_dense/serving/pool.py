"""Predictors on threads behind a bounded queue."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Generic, TypeVar

from larq_dense.serving.refusal import Refusal

Worker = TypeVar("Worker")
Result = TypeVar("Result")


class Pool(Generic[Worker]):
    """Workers, each used by one thread at a time, and a bounded number of jobs that wait for one.

    Args:
        workers: What does the work, such as predictors.
        queue: How many jobs may wait.
    """

    def __init__(self, workers: Sequence[Worker], queue: int) -> None:
        self.workers = len(workers)
        self.capacity = len(workers) + queue
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in workers:
            self._idle.put(worker)
        self._executor = ThreadPoolExecutor(len(workers), "larq-dense")
        self._lock = threading.Lock()
        self._jobs = 0

    @property
    def jobs(self) -> int:
        """How many jobs are in work or wait."""
        return self._jobs

    def check_room(self) -> None:
        """Refuse a job that there is no room for, before anything is spent on it.

        Raises:
            Refusal: All workers are busy and the queue is full.
        """
        if self._jobs >= self.capacity:
            raise Refusal(503, "the server is busy and its queue is full; try again later.")

    async def run(self, work: Callable[[Worker], Result]) -> Result:
        """Let a worker do a job; cancelling this drops the job if no worker has begun it.

        Raises:
            Refusal: All workers are busy and the queue is full.
        """
        with self._lock:
            self.check_room()
            self._jobs += 1
        dropped = threading.Event()

        def job() -> Result:
            try:
                if dropped.is_set():
                    raise Refusal(504, "nobody waits for this picture any more.")
                worker = self._idle.get()
                try:
                    return work(worker)
                finally:
                    self._idle.put(worker)
            finally:
                # A dropped job counts until its turn comes, for the queue still holds its picture.
                with self._lock:
                    self._jobs -= 1

        future = self._executor.submit(job)
        try:
            # Shielded, for cancelling it would take it from the queue without `job`'s last lines.
            return await asyncio.shield(asyncio.wrap_future(future))
        finally:
            dropped.set()

    def close(self) -> None:
        """Wait for the jobs in work."""
        self._executor.shutdown()
