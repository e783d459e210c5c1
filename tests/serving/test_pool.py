import asyncio
import threading

import pytest

from larq_dense.serving.pool import Pool
from larq_dense.serving.refusal import Refusal


def test_each_worker_is_used_by_one_thread_at_a_time() -> None:
    busy: dict[str, int] = {"a": 0, "b": 0}
    most = 0
    lock = threading.Lock()

    def work(worker: str) -> str:
        nonlocal most
        with lock:
            busy[worker] += 1
            most = max(most, busy[worker])
        threading.Event().wait(0.001)
        with lock:
            busy[worker] -= 1
        return worker

    async def all_at_once() -> list[str]:
        pool = Pool(["a", "b"], 50)
        try:
            return await asyncio.gather(*(pool.run(work) for _ in range(40)))
        finally:
            pool.close()

    assert len(asyncio.run(all_at_once())) == 40
    assert most == 1


def test_a_full_queue_refuses_and_has_room_again() -> None:
    async def scenario() -> None:
        pool, go = Pool(["a"], 1), threading.Event()
        jobs = [asyncio.create_task(pool.run(lambda worker: go.wait(30))) for _ in range(2)]
        await asyncio.sleep(0)
        assert pool.jobs == pool.capacity == 2
        with pytest.raises(Refusal, match="queue is full") as refused:
            await pool.run(str.upper)
        assert refused.value.status == 503
        go.set()
        await asyncio.gather(*jobs)
        assert await pool.run(str.upper) == "A"
        assert pool.jobs == 0
        pool.close()

    asyncio.run(scenario())


def test_a_cancelled_job_is_not_begun_but_holds_its_place_until_its_turn() -> None:
    async def scenario() -> None:
        pool, go, done = Pool(["a"], 1), threading.Event(), []
        first = asyncio.create_task(pool.run(lambda worker: go.wait(30)))
        second = asyncio.create_task(pool.run(done.append))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert pool.jobs == 2
        go.set()
        await first
        pool.close()
        assert pool.jobs == 0
        assert not done

    asyncio.run(scenario())


def test_what_a_job_raises_reaches_who_asked() -> None:
    async def scenario() -> None:
        pool = Pool(["a"], 0)
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda worker: 1 / 0)
        assert await pool.run(str.upper) == "A"
        pool.close()

    asyncio.run(scenario())
