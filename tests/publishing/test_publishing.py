"""Publishing: what lands in an entry's folder, and when nothing does."""

import copy
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from larq_dense import __version__, zoo
from larq_dense.common.errors import LarqDenseError
from larq_dense.common.markdown import format_metric, vectors
from larq_dense.models.weights import save_weights
from larq_dense.publishing import publish
from larq_dense.publishing.card import card
from larq_dense.publishing.network import left_out
from larq_dense.publishing.tables import END, START, entries_table, render_readme
from larq_dense.training import Recipe
from larq_dense.zoo import Entry
from larq_dense.zoo.provenance import notice, parent_recipe

FILES = {
    "recipe.yaml",
    "metrics.json",
    "card.md",
    "entry.json",
    "weights.safetensors",
    "weights.sha256",
}


def figures(tiny: Entry) -> dict[str, Any]:
    """Return what was measured, without its origin."""
    measured = copy.deepcopy(tiny.metrics())
    for origin in ("name", "version", "commit"):
        del measured[origin]
    return measured


def test_an_entry_is_complete(tiny: Entry) -> None:
    assert {path.name for path in tiny.folder.iterdir()} == FILES
    measured = tiny.metrics()
    assert (measured["name"], measured["version"]) == ("tiny", __version__)
    assert tiny.recipe().name == "tiny"


def test_checksum_is_in_the_form_of_sha256sum(tiny: Entry) -> None:
    digest, name = (tiny.folder / "weights.sha256").read_text().split()
    assert digest == hashlib.sha256((tiny.folder / name).read_bytes()).hexdigest()


def test_binary_kernels_are_packed(tiny: Entry, tiny_run: Path) -> None:
    run, packed = (
        path.stat().st_size
        for path in (tiny_run / "best.safetensors", tiny.folder / "weights.safetensors")
    )
    assert packed < run / 3


def test_the_measured_entry_is_the_packed_one(tiny_run: Path, tmp_path: Path, tiny: Entry) -> None:
    seen = []

    def measure(entry: Entry) -> dict[str, Any]:
        seen.append((entry.weights().read_bytes(), entry.name))
        assert not (tmp_path / "other" / "tiny").exists()
        return figures(tiny)

    entry = publish(tiny_run, "tiny", measure, tmp_path / "other")
    assert seen == [(entry.weights().read_bytes(), "tiny")]
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["tiny"]


def test_a_failed_measurement_leaves_the_old_entry(tiny: Entry, tiny_run: Path) -> None:
    before = {path.name: path.read_bytes() for path in tiny.folder.iterdir()}

    def measure(entry: Entry) -> dict[str, Any]:
        raise LarqDenseError("no data.")

    with pytest.raises(LarqDenseError, match=r"no data\."):
        publish(tiny_run, "tiny", measure)
    assert {path.name: path.read_bytes() for path in tiny.folder.iterdir()} == before
    assert [path.name for path in tiny.folder.parent.iterdir()] == ["tiny"]


def test_publishing_again_replaces_the_entry(tiny: Entry, tiny_run: Path) -> None:
    (tiny.folder / "picture.jpg").write_bytes(b"kept")
    measured = figures(tiny)
    measured["accuracy"][0]["metrics"]["maxf"] = 0.5
    publish(tiny_run, "tiny", lambda entry: measured)
    assert tiny.metrics()["accuracy"][0]["metrics"]["maxf"] == 0.5
    assert "0.500" in tiny.card()
    assert {path.name for path in tiny.folder.iterdir()} == {*FILES, "picture.jpg"}


@pytest.mark.parametrize("name", ["", "a b", "../up", "a/b", "-x"])
def test_names_are_plain(tiny: Entry, tiny_run: Path, name: str) -> None:
    with pytest.raises(LarqDenseError, match="letters, digits and underscores"):
        publish(tiny_run, name, lambda entry: figures(tiny))


@pytest.mark.parametrize(
    ("missing", "message"),
    [("best.safetensors", "has no weights yet"), ("recipe.yaml", "cannot read the recipe")],
)
def test_an_incomplete_run_is_named(
    tiny: Entry, tiny_run: Path, tmp_path: Path, missing: str, message: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / missing).unlink()
    with pytest.raises(LarqDenseError, match=message):
        publish(run, "tiny", lambda entry: figures(tiny))


def test_an_unwritable_zoo_is_named(tiny: Entry, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LarqDenseError, match=r"cannot write .*file"):
        publish(tiny_run, "tiny", lambda entry: figures(tiny), tmp_path / "file")


def test_card_begins_with_what_the_weights_have_seen(tiny: Entry) -> None:
    title, _, first, *_ = tiny.card().splitlines()
    assert title.startswith("# tiny: ")
    assert "trained on people; they never saw ECSSD" in first


@pytest.mark.parametrize(
    "figure",
    [
        "| people | val | 29 | 0.876 | 0.043 |",
        "| objects of PASCAL VOC | val, salient_like | 192 | 0.765 | 0.099 |",
        "larq-dense evaluate tiny --data objects --split val --within salient_like",
        "| object | - | 70.0 % |",
        "| OPs, M (float MACs + binary MACs / 64) | 6.7 | 128.4 |",
        "123,456 bytes",
        "99.987 % of the pixels",
        "| LCE indirect | 2.3 |",
        "1 thread of Abacus 2000, AVX2",
        "masks made by an automatic tool",
    ],
)
def test_card_holds_every_figure(tiny: Entry, figure: str) -> None:
    assert figure in tiny.card()


def test_card_on_disk_is_the_generated_one(tiny: Entry) -> None:
    assert card(tiny) == tiny.card()


def test_card_of_weights_that_saw_the_benchmark_says_so(tiny: Entry) -> None:
    path = tiny.folder / "recipe.yaml"
    changed = (
        path.read_text().replace("ecssd", "camvid").replace("folder: people", "folder: camvid")
    )
    path.write_text(changed)
    (tiny.folder / "entry.json").unlink()
    notice = zoo.info("tiny")["notice"]
    assert notice.endswith("of CamVid they saw the train split only.")
    assert "never saw" not in notice


@pytest.mark.parametrize(("scores", "chosen"), [((0.7,), False), ((0.7, 0.6), True)])
def test_one_validation_chooses_no_checkpoint(
    tiny: Entry, scores: tuple[float, ...], chosen: bool
) -> None:
    recipe = tiny.folder / "recipe.yaml"
    text = recipe.read_text()
    recipe.write_text(text.replace("ecssd", "camvid").replace("folder: people", "folder: camvid"))
    rows = [f"{epoch},{score}" for epoch, score in enumerate(scores, 1)]
    tiny.log.write_text("\n".join(["step,score", "0,", *rows]))
    assert ("its validation split chose the checkpoint" in notice(tiny)) == chosen


def ancestry(run: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run that began with another, and its teacher, all below `folder`."""
    monkeypatch.chdir(folder)
    recipe = Recipe.load(run / "recipe.yaml").to_dict()
    first = {**recipe, "encoder_weights": "weights/efficientnet_lite0_imagenet.npz"}
    first["data"] = {**recipe["data"], "train": [{"folder": "horses", "split": "train"}]}
    teacher = {**first, "init": "runs/first", "encoder_weights": None}
    last = {**recipe, "init": "runs/first", "distillation": {"teacher": "runs/teacher"}}
    last["data"] = {**recipe["data"], "unlabelled": [{"folder": "objects"}]}
    shutil.copytree(run, "runs/last")
    for name, values in (("first", first), ("teacher", teacher), ("last", last)):
        Path("runs", name).mkdir(exist_ok=True)
        Recipe.from_dict(values).save(Path("runs", name, "recipe.yaml"))
    return Path("runs/last")


@pytest.fixture
def descendant(
    tiny: Entry, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Entry:
    """Return the entry `tiny` of a run that began with others; what was published goes on alone."""
    publish(ancestry(tiny_run, tmp_path, monkeypatch), "tiny", lambda entry: figures(tiny))
    shutil.rmtree("runs")
    return tiny


def test_card_tells_what_init_and_teacher_have_seen(descendant: Entry) -> None:
    text = card(zoo.find("tiny"))
    assert "trained on people, objects of PASCAL VOC, Weizmann horses and ImageNet; " in text
    for line in (
        "| people (train) | training |",
        "| objects of PASCAL VOC (all) | teacher's labels |",
        "| Weizmann horses (train) | teacher's training, initial weights |",
        "| ImageNet (train) | initial encoder weights |",
    ):
        assert line in text
    order = [text.index(f"--run runs/{name}") for name in ("first", "teacher", "tiny")]
    assert order == sorted(order)
    Recipe.load(descendant.folder / "parent-teacher.yaml")


def test_card_tells_what_an_ensemble_has_seen(
    tiny: Entry, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ancestry(tiny_run, tmp_path, monkeypatch)
    last, teacher = (Recipe.load(run.parent / name / "recipe.yaml") for name in ("last", "teacher"))
    second = run.parent / "second" / "recipe.yaml"
    second.parent.mkdir()
    camvid = {"train": [{"folder": "camvid", "split": "train"}]}
    teacher.replace(init=None, data={**teacher.data.model_dump(), **camvid}).save(second)
    learning = {"teacher": "runs/teacher", "ensemble": ["runs/second"]}
    last.replace(distillation=learning).save(run / "recipe.yaml")
    publish(run, "tiny", lambda entry: figures(tiny))
    text = card(zoo.find("tiny"))
    assert "Weizmann horses and ImageNet, by teachers that also learned from CamVid; " in text
    assert "| CamVid (train) | teacher's training |" in text
    order = [text.index(f"--run runs/{name}") for name in ("first", "teacher", "second", "tiny")]
    assert order == sorted(order)


def test_what_begins_with_an_entry_has_seen_what_that_has(
    descendant: Entry, tmp_path: Path
) -> None:
    other = Entry(tmp_path / "elsewhere", "other")
    descendant.recipe().quantized("tiny").save(other.folder / "recipe.yaml")
    assert "Weizmann horses and ImageNet; they never saw ECSSD" in notice(other)
    # How to repeat the trainings before stands on the entry's own card.
    shutil.copy(descendant.folder / "metrics.json", other.folder)
    assert "--run runs/teacher" in card(descendant)
    assert "--run runs/teacher" not in card(other)


def test_what_began_with_the_entry_that_it_replaces_has_seen_what_that_has(
    descendant: Entry, tiny_run: Path
) -> None:
    # Trained on twice from the entry itself, and published in its place each time.
    checksums = set()
    for blur in (1.0, 2.0):
        checksums.add(descendant.expected_sha256()[:8])
        shutil.copytree(tiny_run, "runs/again")
        on = {"init": "tiny", "distillation": None, "augmentation": {"blur": blur}}
        Recipe.load(tiny_run / "recipe.yaml").replace(**on).save(Path("runs/again/recipe.yaml"))
        model = descendant.recipe().build_model(task=descendant.task())
        save_weights(model, "runs/again/best.safetensors", unpacked=True)  # new ones
        publish("runs/again", "tiny", lambda entry: figures(descendant))
        shutil.rmtree("runs")
        assert "Weizmann horses and ImageNet; they never saw ECSSD" in notice(zoo.find("tiny"))
        begun = zoo.find("tiny").recipe().init
        assert begun and begun.removeprefix("runs/tiny_") in checksums
        assert Recipe.load(descendant.folder / f"parent-{begun[5:]}.yaml").init != begun


def test_a_parent_that_is_gone_is_named(
    tiny: Entry, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = ancestry(tiny_run, tmp_path, monkeypatch)
    shutil.rmtree("runs/teacher")
    with pytest.raises(LarqDenseError, match=r"began with runs/teacher, and there is no"):
        publish(last, "tiny", lambda entry: figures(tiny))


def test_parents_of_the_entry_before_are_gone(tiny: Entry, tiny_run: Path) -> None:
    (tiny.folder / "parent-old.yaml").touch()
    publish(tiny_run, "tiny", lambda entry: figures(tiny))
    assert not (tiny.folder / "parent-old.yaml").exists()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("miou", 0.94449, "94.4 %"), ("maxf", 0.80049, "0.800"), ("iou", None, "-")],
)
def test_figures_are_written_as_the_field_writes_them(
    name: str, value: float | None, text: str
) -> None:
    assert format_metric(name, value) == text


@pytest.mark.parametrize(
    ("instruction_sets", "title"),
    [
        (["sse4_2", "avx2", "avx512f"], "AVX-512"),
        (["sse4_2", "avx2"], "AVX2"),
        (["sse4_2"], "SSE4.2"),
        (["asimd", "asimddp"], "NEON"),
        ([], "no vectors"),
    ],
)
def test_the_widest_vectors_are_named(instruction_sets: list[str], title: str) -> None:
    assert vectors({"instruction_sets": instruction_sets}) == title


def test_table_has_a_row_for_each_source(tiny: Entry) -> None:
    header, _, first, second, *rest = entries_table().splitlines()
    assert header.count("|") == first.count("|") == second.count("|")
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells == [
        "[`tiny`](zoo/tiny/card.md)",
        "people (val)",
        "MaxF 0.876",
        *["-"] * 5,
    ]
    assert "MaxF 0.765" in second and not rest


def test_readme_is_renewed_between_its_markers(tiny: Entry, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    render_readme(readme)
    once = readme.read_text()
    assert once == f"before\n{START}\n{entries_table()}\n{END}\nafter\n"
    render_readme(readme)
    assert readme.read_text() == once


@pytest.mark.parametrize(("content", "message"), [("none\n", "lacks the lines"), (None, "read")])
def test_readme_without_markers_is_refused(
    tiny: Entry, tmp_path: Path, content: str | None, message: str
) -> None:
    readme = tmp_path / "README.md"
    if content is not None:
        readme.write_text(content)
    with pytest.raises(LarqDenseError, match=message):
        render_readme(readme)


def test_metrics_are_json_with_their_commands(tiny: Entry) -> None:
    document = json.loads((tiny.folder / "metrics.json").read_text())
    assert all(row["command"] for row in document["accuracy"])
    assert all(document[part]["command"] for part in ("complexity", "conversion", "latency"))


def test_an_installed_package_is_not_published_into(tiny: Entry, tiny_run: Path) -> None:
    before = sorted(tiny.folder.iterdir())
    (tiny.folder.parents[1] / "__init__.py").touch()
    with pytest.raises(LarqDenseError, match=r"belongs to the installed package.* --zoo"):
        publish(tiny_run, "tiny", lambda entry: figures(tiny))
    assert sorted(tiny.folder.iterdir()) == before


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"encoder": "light", "branches": 3, "attention": "both"}, []),
        ({"encoder": "light", "encoder_options": {"blocks": 4}}, []),
        (
            {"encoder": "light", "branches": 1, "encoder_options": {"blocks": [2, 2, 3, 2]}},
            ["one branch in each layer", "9 residual blocks", "that `old` has"],
        ),
        ({"encoder": "light", "branches": 2}, ["2 branches in each layer"]),
        ({"encoder": "compact_s", "decoder": "compact_s"}, ["measured time", "parallel branches"]),
    ],
)
def test_a_card_says_what_a_smaller_network_leaves_out(
    tiny: Entry, model: dict[str, Any], said: list[str]
) -> None:
    recipe = tiny.recipe().replace(model=model, init="runs/before")
    recipe.save(tiny.recipe_file)
    recipe.replace(init="old").save(parent_recipe(tiny.folder, "runs/before"))
    recipe.replace(init=None).save(tiny.folder.parent / "old" / tiny.recipe_file.name)
    text = left_out(tiny)
    assert (text is None) == (not said)
    assert all(each in (text or "") for each in said)
