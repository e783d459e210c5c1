"""What is timed, in which order, and what the figures are."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common.errors import LarqDenseError
from larq_dense.conversion import convert
from larq_dense.latency import benchmark
from larq_dense.latency.benchmark import (
    Candidate,
    LocalCandidate,
    Timing,
    candidates,
    left_out,
    ratios,
    time_interleaved,
    to_rows,
)
from larq_dense.latency.plot import plot_timings
from larq_dense.quantization import quantize
from larq_dense.runtime import xnor


@pytest.fixture(scope="module")
def binary_file(small_binary: Any) -> bytes:
    return convert(small_binary).content


def timing(network: str, threads: int | None, *milliseconds: float) -> Timing:
    candidate = Candidate(f"engine of {network}", network, threads, 10)
    return Timing(candidate, milliseconds)


def test_every_engine_computes_the_same_network(
    small_binary: Any, binary_file: bytes, picture: NDArray[np.float32]
) -> None:
    entrants = candidates([1, 2], keras=small_binary, binary_file=binary_file)
    names = [(entrant.engine, entrant.threads) for entrant in entrants]
    engines = ["LCE default", "LCE reference", "LCE indirect"]
    engines += ["XNOR runtime"] * xnor.available()
    assert names == [("Keras", None), *((name, count) for count in (1, 2) for name in engines)]
    expected = small_binary(picture).numpy()
    for entrant in entrants:
        logits = np.asarray(entrant.run(picture))
        assert (logits.argmax(-1) == expected.argmax(-1)).mean() > 0.97, entrant.engine
        assert entrant.size == (None if entrant.engine == "Keras" else len(binary_file))


@pytest.mark.skipif(not xnor.available(), reason=str(xnor.why_unavailable()))
def test_the_network_in_eight_bits_runs_on_its_own_integers(
    small_binary: Any, picture: NDArray[np.float32]
) -> None:
    file = convert(quantize(small_binary, [picture]), small_binary.spec).content
    (entrant,) = candidates([1], quantized_file=file)
    assert (entrant.engine, entrant.network) == ("XNOR runtime, int8", "binary int8")
    logits = entrant.run(picture)
    assert logits.dtype == np.int8
    assert logits.shape == small_binary(picture).shape


def test_engines_that_are_not_installed_are_named_in_a_sentence(
    binary_file: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(left_out()) == (not xnor.available())
    monkeypatch.setattr(benchmark, "is_installed", lambda _: False)
    monkeypatch.setattr(xnor, "why_unavailable", lambda: "it was not built.")
    lce, native = left_out()
    assert "Larq Compute Engine is not installed" in lce and "pip install" in lce
    assert native == "The XNOR runtime is left out: it was not built."
    assert candidates([1], binary_file=binary_file) == []


@pytest.mark.parametrize(("threads", "watched"), [(1, "thread_time"), (2, "perf_counter")])
def test_candidates_take_turns_after_one_untimed_run_each(
    picture: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch, threads: int, watched: str
) -> None:
    order: list[str] = []
    clock = [0.0]
    clocks = {"thread_time": lambda: 0.0, "perf_counter": lambda: 0.0, watched: lambda: clock[0]}
    monkeypatch.setattr(benchmark, "time", SimpleNamespace(**clocks))

    def entrant(name: str, seconds: float) -> LocalCandidate:
        def run(given: NDArray[np.float32]) -> None:
            assert given is picture
            order.append(name)
            clock[0] += seconds

        return LocalCandidate(name, "binary", threads, None, run)

    seen: list[int] = []

    def watch(turns: Any) -> Any:
        for turn in turns:
            seen.append(turn)
            yield turn

    timings = time_interleaved([entrant("a", 0.25), entrant("b", 2)], picture, 3, watch)
    assert "".join(order) == "abababab"
    assert seen == [0, 1, 2]
    assert [list(each.milliseconds) for each in timings] == [[250] * 3, [2000] * 3]


def test_median_and_spread() -> None:
    found = timing("binary", 1, *range(1, 12))
    assert found.median == 6
    assert found.percentiles == (2, 10)


def test_ratios_are_to_the_float_baseline_with_as_many_threads() -> None:
    timings = [
        timing("binary", None, 2.0),
        timing("binary", 1, 5.0),
        timing("float32", 1, 10.0),
        timing("binary", 2, 3.0),
        timing("float32", 2, 4.0),
    ]
    assert ratios(timings) == [0.5, 0.5, 1, 0.75, 1]
    assert ratios(timings[:2]) == [None, None]
    row = to_rows(timings)[3]
    assert row["median_ms"] == 3
    assert row["ratio_to_float32"] == 0.75
    assert row["repeats_ms"] == [3.0]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_plot_is_drawn(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"latency{suffix}"
    plot_timings([timing("binary", None, 2, 3), timing("float32", 1, 4, 9)], "a title", path)
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(start)
    if suffix == ".png":
        pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
        blue, orange = [31, 119, 180], [255, 127, 14]
        assert (pixels == blue).all(axis=1).sum() > 500
        assert (pixels == orange).all(axis=1).sum() > (pixels == blue).all(axis=1).sum()


def test_an_unknown_plot_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LarqDenseError, match=r"cannot draw .*latency\.doc"):
        plot_timings([], "", tmp_path / "latency.doc")
