"""`larq-dense zoo`: list, info, card, publish, render."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from larq_dense.cli import main
from larq_dense.models.weights import save_weights
from larq_dense.publishing.tables import END, START
from larq_dense.quantization import quantize
from larq_dense.zoo import entries, find, load


def zoo(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["zoo", *map(str, arguments)])


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path, tiny_data: Path) -> Path:
    """Publish a tiny entry by the command, measured for real, into a folder of its own."""
    root = tmp_path_factory.mktemp("zoo")
    result = zoo("publish", tiny_run, "tiny", "--data", tiny_data, "--zoo", root, "--repeats", "2")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"published {root / 'tiny'}\n"
    return root


@pytest.fixture
def root(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a copy of the published zoo the one that commands see."""
    copied = tmp_path / "zoo"
    shutil.copytree(published, copied)
    monkeypatch.setattr(entries, "ROOT", copied)
    return copied


def test_publish_measures_everything(published: Path) -> None:
    metrics = json.loads((published / "tiny" / "metrics.json").read_text())
    (row,) = metrics["accuracy"]
    assert (row["data"], row["split"], row["images"]) == ("people", "val", 2)
    assert 0 <= row["metrics"]["maxf"] <= 1
    assert metrics["complexity"]["float"]["ops"] > 5 * metrics["complexity"]["binary"]["ops"]
    assert metrics["conversion"]["parity"]["images"] == 2
    assert metrics["conversion"]["parity"]["same_labels"] > 0.99
    assert metrics["conversion"]["binary_layers"] > 0
    engines = {each["engine"] for each in metrics["latency"]["rows"]}
    assert {"LCE indirect", "TFLite float32", "TFLite int8"} <= engines
    assert all(each["milliseconds"] > 0 for each in metrics["latency"]["rows"])


def test_a_variant_is_measured_beside_its_entry(
    root: Path, tiny_data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "tiny_int8"
    recipe = find("tiny").recipe()
    pictures = [recipe.preprocessing(path) for path in sorted(tiny_data.rglob("images/*.png"))]
    save_weights(quantize(load("tiny"), pictures), run / "best.safetensors", unpacked=True)
    recipe.quantized("tiny").save(run / "recipe.yaml")
    result = zoo("publish", run, "tiny", "--data", tiny_data, "--repeats", "2")
    assert result.exit_code == 0, result.output
    metrics = json.loads((root / "tiny" / "int8" / "metrics.json").read_text())
    (row,) = metrics["accuracy"]
    assert (row["data"], row["split"], row["images"]) == ("people", "val", 2)
    assert 0 <= row["metrics"]["maxf"] <= 1
    assert row["command"].startswith("larq-dense evaluate tiny_int8.tflite ")
    assert metrics["conversion"]["parity"]["max_steps"] == 0
    assert 0 < metrics["memory"]["int8"] < 0.4 * metrics["memory"]["default"]
    times = metrics["latency"]["milliseconds"]
    assert {"XNOR runtime", "XNOR runtime, int8", "TFLite int8"} <= times.keys()
    assert all(each > 0 for each in times.values())
    assert "## All-integer" in (root / "tiny" / "card.md").read_text()


def test_a_baseline_is_measured(root: Path, tiny_data: Path, tmp_path: Path) -> None:
    run = tmp_path / "tiny_baseline"
    recipe = find("tiny").recipe().baseline()
    recipe.save(run / "recipe.yaml")
    save_weights(recipe.build_model(), run / "best.safetensors", unpacked=True)
    result = zoo("publish", run, "tiny", "--data", tiny_data)
    assert result.exit_code == 0, result.output
    (row,) = json.loads((root / "tiny" / "baseline" / "metrics.json").read_text())["accuracy"]
    program, *arguments = row["command"].split()
    assert program == "larq-dense"
    again = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert again["metrics"] == pytest.approx(row["metrics"])
    assert "| binary | full-precision baseline |" in (root / "tiny" / "card.md").read_text()


def test_published_command_gives_the_published_figure(root: Path) -> None:
    (row,) = json.loads((root / "tiny" / "metrics.json").read_text())["accuracy"]
    program, *arguments = row["command"].split()
    assert program == "larq-dense"
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    measured = json.loads(result.stdout)
    assert measured["metrics"] == pytest.approx(row["metrics"])
    assert measured["images"] == row["images"]


def test_list(root: Path) -> None:
    result = zoo("list")
    assert result.exit_code == 0
    assert "tiny" in result.output and "maxf" in result.output
    assert "tiny" not in zoo("list", "*road*").output


def test_list_as_json(root: Path) -> None:
    (entry,) = json.loads(zoo("list", "t*", "--json").stdout)
    metrics = json.loads((root / "tiny" / "metrics.json").read_text())
    assert entry["name"] == "tiny"
    assert entry["value"] == pytest.approx(metrics["accuracy"][0]["metrics"]["maxf"])
    assert entry["ops"] == metrics["complexity"]["binary"]["ops"]


def test_an_unmeasured_entry_is_listed_without_figures(root: Path) -> None:
    (root / "tiny" / "metrics.json").unlink()
    (entry,) = json.loads(zoo("list", "--json").stdout)
    assert entry["value"] is None
    assert zoo("list").exit_code == 0


def test_info(root: Path) -> None:
    assert "never saw ECSSD" in " ".join(zoo("info", "tiny").stdout.split())
    described = json.loads(zoo("info", "tiny", "--json").stdout)
    assert described["sha256"] == (root / "tiny" / "weights.sha256").read_text().split()[0]


def test_card(root: Path) -> None:
    assert zoo("card", "tiny").stdout == (root / "tiny" / "card.md").read_text()


@pytest.mark.parametrize("command", ["info", "card"])
def test_an_unknown_entry_offers_the_nearest(root: Path, command: str) -> None:
    result = zoo(command, "tinny")
    assert result.exit_code == 1
    assert result.stderr == "Error: unknown zoo entry 'tinny'; did you mean tiny?\n"


def test_render_renews_cards_and_readme(root: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"{START}\n{END}\n")
    before = (root / "tiny" / "card.md").read_text()
    (root / "tiny" / "card.md").write_text("stale")
    assert zoo("render", "--readme", readme).exit_code == 0
    assert (root / "tiny" / "card.md").read_text() == before
    assert "zoo/tiny/card.md" in readme.read_text()


def test_publish_without_data_is_one_sentence(tiny_run: Path, root: Path, tmp_path: Path) -> None:
    result = zoo("publish", tiny_run, "tiny", "--data", tmp_path / "nowhere")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: no such folder: ")


def test_publish_an_unfinished_run_is_one_sentence(root: Path, tmp_path: Path) -> None:
    result = zoo("publish", tmp_path, "tiny", "--data", tmp_path)
    assert result.exit_code == 1
    assert "has no weights yet" in result.stderr
