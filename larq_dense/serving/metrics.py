"""What the server tells Prometheus."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from larq_dense.serving.pool import Pool

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """Counts of one server; `text` is what `/metrics` answers."""

    def __init__(self, pool: Pool) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._requests = Counter(
            "larq_dense_requests",
            "Answers of /predict, by status code.",
            ["code"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "larq_dense_request_seconds",
            "Time from a request's arrival at /predict to its result, of those that have one.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        jobs = Gauge("larq_dense_jobs", "Pictures in work or waiting.", registry=self._registry)
        jobs.set_function(lambda: pool.jobs)
        capacity = Gauge(
            "larq_dense_jobs_max",
            "Pictures that fit, in work and waiting.",
            registry=self._registry,
        )
        capacity.set(pool.capacity)

    def note(self, code: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(str(code)).inc()
        if code == 200:
            self._seconds.observe(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)
