"""The frontier: who dominates whom, by hand; the Arm model, counted by hand; the command."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import yaml
from click.testing import CliRunner, Result

from larq_dense.cli import main
from larq_dense.latency import arm
from larq_dense.latency.frontier import Point, dominating, in_words, on_arm, time_here
from larq_dense.runtime import xnor
from larq_dense.runtime.tflite_file import Operator, Tensor, TfliteFile

T = "1 thread"


def point(model: str, metric: float | None, ms: float) -> Point:
    return Point(model, "int8", b"", metric, {T: ms})


POINTS = [
    point("small", 0.6, 1.0),
    point("large", 0.8, 4.0),
    point("slow", 0.6, 2.0),
    point("bad", 0.5, 5.0),
    point("equal", 0.8, 4.0),
    point("untrained", None, 0.1),
]


def test_who_dominates_whom() -> None:
    found = {p.model: [q.model for q in dominating(p, POINTS, T)] for p in POINTS[:5]}
    assert found == {
        "small": [],
        "large": [],
        "slow": ["small"],
        "bad": ["small", "large", "slow", "equal"],
        "equal": [],
    }


def test_in_words() -> None:
    first, *others = in_words(POINTS, T)
    assert (
        first == "1 thread: no other is both faster and better than small (int8), large (int8), "
        "equal (int8)."
    )
    assert (
        others[0] == "1 thread: slow (int8), 0.600 in 2.00 ms is dominated by small (int8), "
        "0.600 in 1.00 ms."
    )
    assert len(others) == 2 and "slow" not in others[1].split("dominated by")[1]
    assert in_words([POINTS[-1]], T) == []


def operator(builtin: int, output: Any, *inputs: Any, custom: str = "") -> Operator:
    def tensor(shape: tuple[int, ...], kind: int = 9) -> Tensor:
        return Tensor("", shape, kind, memoryview(b""))

    return Operator(
        builtin, custom, tuple(tensor(x) for x in inputs), (tensor(*output),), memoryview(b"")
    )


# Operator, and what it costs, counted by hand.
COUNTED = [
    (
        operator(32, ((1, 8, 8, 64),), (1, 8, 8, 3), (64, 3, 3, 3), custom="LceBconv2d"),
        [("binary_macs", 64 * 64 * 9 * 96), ("requantized_values", 64 * 64)],
    ),
    (
        operator(3, ((1, 4, 4, 10),), (1, 8, 8, 3), (10, 3, 3, 3)),
        [("int8_macs_sdot", 16 * 10 * 27), ("requantized_values", 160)],
    ),
    (
        operator(4, ((1, 4, 4, 10),), (1, 4, 4, 10), (1, 3, 3, 10)),
        [("int8_depthwise_macs", 160 * 9), ("requantized_values", 160)],
    ),
    (operator(3, ((1, 4, 4, 10), 0), (1, 4, 4, 3), (10, 1, 1, 3)), [("float_macs", 480)]),
    (operator(32, ((1, 4, 4, 2), 2), (1, 4, 4, 64), custom="LceQuantize"), [("packed_bits", 1024)]),
    (operator(0, ((1, 4, 4, 10),), (1, 4, 4, 10), (1, 4, 4, 10)), [("int8_sums", 160)]),
    (operator(17, ((1, 2, 2, 10),), (1, 4, 4, 10)), [("int8_maxima", 40)]),
    (operator(23, ((1, 8, 8, 2),), (1, 4, 4, 2)), [("int8_bilinear_values", 128)]),
    (operator(22, ((1, 160),), (1, 4, 4, 10)), []),
]


@pytest.mark.parametrize(("given", "costs"), COUNTED)
def test_work_is_counted(given: Operator, costs: list[tuple[str, float]]) -> None:
    assert arm._of(given, arm.CORES[1], binary=True) == costs


def test_ranges_differ_where_nothing_is_binary() -> None:
    sum_of = COUNTED[5][0]
    file = TfliteFile((), (), (sum_of,), {})
    assert arm._work(file, arm.CORES[1]) == [("int8_rescaled_sums", 160)]


def test_milliseconds_are_the_sum_over_the_clock() -> None:
    _, result = tiny.converted()
    for core in arm.CORES:
        total = sum(arm.cycles(result.content, core).values())
        assert arm.milliseconds(result.content, core) == pytest.approx(total / core.gigahertz / 1e6)
    assert list(on_arm(result.content)) == [f"{core.name}, model" for core in arm.CORES]


def test_the_rates_are_for_every_core(checkout: Path) -> None:
    rates = json.loads((checkout / "larq_dense/latency/arm_rates.json").read_text())
    assert set(rates["units_a_cycle"]) == {core.model for core in arm.CORES}
    # What the cores' pipes allow: two instructions of 128 bits a cycle, one on the small core.
    for core, pipes in (("cortex-a76", 2), ("cortex-a55", 1)):
        assert rates["units_a_cycle"][core]["int8_macs_sdot"] <= 16 * pipes
        assert rates["units_a_cycle"][core]["binary_macs"] <= 128 / 3 * pipes


@pytest.mark.skipif(not xnor.available(), reason=str(xnor.why_unavailable()))
def test_files_are_timed_in_turn() -> None:
    _, result = tiny.converted()
    for threads in (1, 2):
        least = time_here([result.content, result.content], threads, 2)
        assert len(least) == 2 and np.isfinite(least).all() and min(least) > 0


def frontier(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["frontier", *map(str, arguments)])


@pytest.mark.skipif(not xnor.available(), reason=str(xnor.why_unavailable()))
def test_the_command(tiny_run: Path, tiny_data: Path, tmp_path: Path) -> None:
    """A run has accuracy and times, a recipe has times; the plot is drawn."""
    recipe = yaml.safe_load((tiny_run / "recipe.yaml").read_text())
    recipe |= {"name": "rival"}
    recipe["model"] = {
        "encoder": "mobilenet_v2",
        "decoder": "lraspp",
        "precision": "float",
        "encoder_options": {"alpha": 0.35},
    }
    (tmp_path / "rival.yaml").write_text(yaml.safe_dump(recipe))
    plot = tmp_path / "plot.png"
    result = frontier(
        tiny_run, tmp_path / "rival.yaml", "--data", tiny_data, "--repeats", 1, "--plot", plot,
        "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    found = [(each["model"], each["form"]) for each in document["points"]]
    assert found == [
        (str(tiny_run), "binary, int8"),
        (str(tiny_run), "binary, float between"),
        ("rival", "float32"),
        ("rival", "int8"),
    ]
    metrics = [each["metric"] for each in document["points"]]
    assert all(0 <= each <= 1 for each in metrics[:2]) and metrics[2:] == [None, None]
    columns = ["1 thread", "2 threads", *(f"{core.name}, model" for core in arm.CORES)]
    assert all(list(each["milliseconds"]) == columns for each in document["points"])
    assert document["metric"] == "maxf" and document["in_words"]
    assert plot.stat().st_size > 1000


def test_networks_of_two_tasks_are_one_sentence(tiny_run: Path, tmp_path: Path) -> None:
    recipe = yaml.safe_load((tiny_run / "recipe.yaml").read_text())
    recipe |= {"name": "other", "task": "camvid"}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(recipe))
    result = frontier(tiny_run, tmp_path / "other.yaml")
    assert result.exit_code == 1
    assert "other has other classes than" in result.stderr
    assert frontier().exit_code == 2
    assert frontier(tiny_run, "--plot", tmp_path / "plot.png").exit_code == 2
    assert "--limit is for the pictures of --data" in frontier(tiny_run, "--limit", 5).stderr


def test_a_point_shows_no_bytes() -> None:
    assert "content" not in repr(replace(POINTS[0], content=b"0" * 1000))
