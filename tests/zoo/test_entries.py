"""Finding entries, and getting at their weights."""

from pathlib import Path

import pytest

from larq_dense import zoo
from larq_dense.common.errors import LarqDenseError, UnknownNameError, WeightsError
from larq_dense.training.run import Run
from larq_dense.zoo import Entry


def test_names_match_patterns(tiny: Entry) -> None:
    (tiny.folder.parent / "my_road").mkdir()
    (tiny.folder.parent / "my_road" / "recipe.yaml").touch()
    (tiny.folder.parent / "__pycache__").mkdir()
    assert zoo.list_entries() == ["my_road", "tiny"]
    assert zoo.list_entries("*road*") == ["my_road"]
    assert zoo.list_entries("x*") == []


@pytest.mark.parametrize(
    ("name", "near"), [("tinny", "did you mean tiny?"), ("qqq", "known: tiny")]
)
def test_unknown_name_offers_the_nearest(tiny: Entry, name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=near):
        zoo.find(name)


def test_a_folder_is_an_entry_too(published: Path) -> None:
    assert zoo.find(published / "tiny") == Entry(published / "tiny", "tiny")


def test_weights_are_verified(tiny: Entry) -> None:
    path = tiny.folder / "weights.safetensors"
    assert tiny.weights() == path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged or not the published file: its SHA-256"):
        tiny.weights()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("weights.safetensors", "cannot read .*weights.safetensors"),
        ("weights.sha256", "has no published weights"),
    ],
)
def test_missing_files_are_named(tiny: Entry, file: str, message: str) -> None:
    (tiny.folder / file).unlink()
    with pytest.raises(WeightsError, match=message):
        tiny.weights()


def test_damaged_metrics_are_named(tiny: Entry) -> None:
    path = tiny.folder / "metrics.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LarqDenseError, match=r"metrics\.json is damaged"):
        tiny.metrics()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics.json", "[1]"),
        ("data.json", "{}"),
        ("data.json", "[" * 100_000),
        ("log.csv", "step;score\n3;0,5\n"),
        ("log.csv", "step,score\nthree,0.5\n"),
        ("log.csv", "score\n0.5\n"),
        ("log.csv", "score,step\n0.5\n"),
    ],
)
def test_what_a_run_measured_may_be_damaged(tmp_path: Path, file: str, content: str) -> None:
    (tmp_path / file).write_text(content)
    run = Run(tmp_path)
    read = {"metrics.json": run.metrics, "data.json": run.read, "log.csv": run.scores}[file]
    with pytest.raises(LarqDenseError, match=f"{file} is damaged"):
        read()


def test_an_unpublished_entry_is_described_without_figures(tiny: Entry) -> None:
    for file in ("weights.sha256", "metrics.json", "card.md"):
        (tiny.folder / file).unlink()
    described = zoo.info("tiny")
    assert described["sha256"] is None
    assert described["metrics"] == {}
    with pytest.raises(LarqDenseError, match="has no card"):
        tiny.card()
