"""Models on the hub, against a stand-in for it on this machine."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import hub_stand_in
import huggingface_hub.constants
import numpy as np
import pytest
from click.testing import CliRunner
from hub_stand_in import TOKEN, StandIn
from huggingface_hub.errors import HfHubHTTPError

import larq_dense
from larq_dense import Predictor, zoo
from larq_dense.cli import main
from larq_dense.common.errors import LarqDenseError, WeightsError
from larq_dense.publishing.push import push
from larq_dense.runtime import xnor
from larq_dense.zoo import hub as hub_addresses
from larq_dense.zoo.hub import Address, fetch, parse

ENTRY = "ecssd"

needs_runtime = pytest.mark.skipif(not xnor.available(), reason=str(xnor.why_unavailable()))


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[StandIn, str]]:
    hub = StandIn()
    with hub_stand_in.serving(hub) as url:
        yield hub, url


@pytest.fixture
def hub(server: tuple[StandIn, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Return an empty hub, which huggingface_hub talks to, with an empty cache."""
    hub, url = server
    hub.repos, hub.served, hub.spoil = {}, [], {}
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch.cache_clear()
    return hub


def entry_files(name: str = ENTRY) -> dict[str, bytes]:
    """Return what `zoo push` shares of an entry."""
    folder = zoo.find(name).folder
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".png"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("hf://me/cracks", Address("me/cracks", None)),
        ("hf://me/cracks@v1.2", Address("me/cracks", "v1.2")),
        ("hf://me/a.b-c@refs/pr/1", Address("me/a.b-c", "refs/pr/1")),
    ],
)
def test_addresses(address: str, expected: Address) -> None:
    assert parse(address) == expected


@pytest.mark.parametrize("address", ["hf://", "hf://me", "hf://a/b/c", "hf://a/b@", "hf://a b/c"])
def test_what_is_no_address_is_one_sentence(address: str) -> None:
    with pytest.raises(LarqDenseError, match=r"is no address of a model; write hf://OWNER/NAME"):
        zoo.find(address)


@needs_runtime
def test_a_model_of_the_hub_labels_as_the_entry_does(hub: StandIn, checkout: Path) -> None:
    hub.repo("me/mine").commit(entry_files())
    photo = checkout / "docs" / "images" / "cat.jpg"
    found = larq_dense.load("hf://me/mine")
    expected = Predictor(zoo.find(ENTRY).tflite(int8=True))
    np.testing.assert_array_equal(found.logits(photo), expected.logits(photo))
    other = larq_dense.load("hf://me/mine", precision="binary")
    expected = Predictor(zoo.find(ENTRY).tflite())
    np.testing.assert_array_equal(other.logits(photo), expected.logits(photo))


def test_only_files_of_an_entry_are_fetched(hub: StandIn) -> None:
    others = {
        "evil.pkl": pickle.dumps("anything"),
        "weights.pkl": pickle.dumps("anything"),
        "pytorch_model.bin": b"\0" * 100,
        "run.py": b"raise SystemExit",
        "other.safetensors": b"\0" * 100,
        "training.png": b"\x89PNG",
    }
    hub.repo("me/mine").commit(entry_files() | others)
    entry = zoo.find("hf://me/mine")
    assert not others.keys() & set(hub.served)
    kept = {path.name for path in entry.folder.rglob("*") if path.is_file()}
    assert not others.keys() & kept
    assert {"entry.json", f"{ENTRY}.tflite", f"{ENTRY}_int8.tflite", "recipe.yaml"} <= kept
    assert entry.name == ENTRY and entry.int8().is_published
    assert zoo.info("hf://me/mine") == zoo.info(ENTRY)


def test_what_is_no_model_of_ours_is_told_before_its_weights_are_fetched(hub: StandIn) -> None:
    hub.repo("big/one").commit({"weights.safetensors": b"\0" * 1000, "README.md": b"# Big"})
    with pytest.raises(
        LarqDenseError, match=r"hf://big/one is no model of larq_dense: it holds no"
    ):
        zoo.find("hf://big/one")
    assert hub.served == []


def test_a_revision_is_what_it_was(hub: StandIn) -> None:
    repo = hub.repo("me/mine")
    files = entry_files()
    first = repo.commit(files, "v1")
    metrics = files | {"metrics.json": b"{}"}
    repo.commit(metrics)
    assert zoo.find("hf://me/mine").metrics() == {}
    for revision in ("v1", first):
        found = zoo.find(f"hf://me/mine@{revision}")
        assert found.metrics() == zoo.find(ENTRY).metrics() != {}
        assert found.folder.name == first
    with pytest.raises(LarqDenseError, match=r"hf://me/mine@v9: there is no such revision"):
        zoo.find("hf://me/mine@v9")


@pytest.mark.parametrize("path", ["weights.safetensors", "ecssd.tflite", "int8/ecssd_int8.tflite"])
def test_another_content_is_refused(hub: StandIn, path: str) -> None:
    hub.repo("me/mine").commit(entry_files())
    hub.spoil[path] = lambda content: content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(WeightsError, match="is damaged or not the published file: its SHA-256"):
        zoo.find("hf://me/mine")


def test_a_file_that_the_hub_has_another_digest_of_is_refused(hub: StandIn) -> None:
    hub.repo("me/mine").commit(entry_files() | {"weights.safetensors": b"another network"})
    with pytest.raises(WeightsError, match=r"weights\.safetensors is damaged or not the published"):
        zoo.find("hf://me/mine")


def test_a_file_without_digest_is_refused(hub: StandIn) -> None:
    files = entry_files()
    lines = files["weights.sha256"].splitlines(keepends=True)
    hub.repo("me/mine").commit(files | {"weights.sha256": lines[0]})
    with pytest.raises(WeightsError, match=r"hf://me/mine names no SHA-256 for ecssd\.tflite"):
        zoo.find("hf://me/mine")
    del files["weights.sha256"]
    hub.repo("me/other").commit(files)
    with pytest.raises(WeightsError, match=r"hf://me/other holds no weights\.sha256"):
        zoo.find("hf://me/other")


def test_a_file_that_breaks_off_is_refused_and_fetched_again(hub: StandIn) -> None:
    hub.repo("me/mine").commit(entry_files())
    hub.spoil["ecssd.tflite"] = lambda content: content[: len(content) // 2]
    with pytest.raises(LarqDenseError, match=r"hf://me/mine") as refused:
        zoo.find("hf://me/mine")
    assert "\n" not in str(refused.value)
    hub.spoil = {}
    assert zoo.find("hf://me/mine").tflite().is_file()


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (429, r"^the hub is busy or fails for now \(429\), .* hf://me/mine .* try again later\.$"),
        (503, r"^the hub is busy or fails for now \(503\), .* try again later\.$"),
        (403, "^the hub refuses hf://me/mine: the token is missing"),
        (418, "^the hub and hf://me/mine: no coffee$"),
    ],
)
def test_each_refusal_says_what_to_do(status: int, sentence: str) -> None:
    """The library tries some of these for a while, so the error is raised here."""
    response = httpx.Response(status, request=httpx.Request("GET", "https://localhost"))
    with (
        pytest.raises(LarqDenseError, match=sentence),
        hub_addresses.talking_to_hub("hf://me/mine"),
    ):
        raise HfHubHTTPError("no coffee", response=response)


def test_a_missing_file_is_told_when_it_is_needed(hub: StandIn) -> None:
    files = entry_files()
    del files["ecssd.tflite"], files["int8/ecssd_int8.tflite"]
    hub.repo("me/mine").commit(files)
    with pytest.raises(WeightsError, match="the entry 'ecssd' ships no converted file"):
        zoo.find("hf://me/mine").tflite()
    assert zoo.find("hf://me/mine").weights().is_file()


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        (b"{", "is damaged"),
        (b"[]", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b"{}", "is damaged"),
        (b'{"name": "../ecssd"}', r"has a wrong name, '\.\./ecssd'"),
        (b'{"name": 3}', "has a wrong name, 3"),
    ],
)
def test_a_damaged_description_is_told(hub: StandIn, description: bytes, sentence: str) -> None:
    hub.repo("me/mine").commit(entry_files() | {"entry.json": description})
    with pytest.raises(LarqDenseError, match=rf"hf://me/mine: its entry\.json {sentence}"):
        zoo.find("hf://me/mine")


def test_a_missing_or_private_model_is_one_sentence(
    hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repo("me/secret", private=True).commit(entry_files())
    assert zoo.find("hf://me/secret").name == ENTRY
    fetch.cache_clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", "/nowhere/cache")
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    for address in ("hf://me/secret", "hf://me/missing"):
        with pytest.raises(LarqDenseError, match=r"on the hub, or it is private; check the name"):
            zoo.find(address)


def test_without_a_network_the_cache_is_used(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repo("me/mine").commit(entry_files())
    before = zoo.find("hf://me/mine")
    # Nothing listens on port 9 of this machine.
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    for offline in (False, True):
        fetch.cache_clear()
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
        assert zoo.find("hf://me/mine") == before
        with pytest.raises(LarqDenseError, match="cannot be reached, and hf://me/other is not in"):
            zoo.find("hf://me/other")


def test_a_cached_file_that_was_changed_is_refused(hub: StandIn) -> None:
    hub.repo("me/mine").commit(entry_files())
    path = zoo.find("hf://me/mine").tflite()
    path.resolve().write_bytes(b"changed")
    fetch.cache_clear()
    with pytest.raises(WeightsError, match=r"ecssd\.tflite is damaged .* remove it and try again"):
        zoo.find("hf://me/mine")


def test_a_cache_that_cannot_be_written_is_named(
    hub: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub.repo("me/mine").commit(entry_files())
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    with pytest.raises(LarqDenseError, match=r"cannot keep hf://me/mine in the cache .*/file: Not"):
        zoo.find("hf://me/mine")


def test_a_card_that_is_no_text_is_named(hub: StandIn) -> None:
    hub.repo("me/mine").commit(entry_files() | {"card.md": b"\xff\xfe\0"})
    with pytest.raises(LarqDenseError, match=r"card\.md is no text"):
        zoo.find("hf://me/mine").card()


def test_an_entry_goes_to_the_hub_and_comes_back(hub: StandIn) -> None:
    address = push(ENTRY, "hf://me/shared", private=True)
    repo = hub.repos["me/shared"]
    assert repo.private and address == f"hf://me/shared@{repo.refs['main'][:12]}"
    files = repo.commits[repo.refs["main"]]
    suffixes = {Path(name).suffix for name in files if name != ".gitattributes"}
    assert suffixes == {".safetensors", ".tflite", ".json", ".yaml", ".md", ".sha256"}
    readme = files.pop("README.md").decode()
    assert readme.startswith("---\nlibrary_name: larq-dense\n") and "hf://me/shared" in readme
    assert "## Accuracy" in readme and "![" not in readme
    own = entry_files()
    assert {name: own[name] for name in files if name != ".gitattributes"} == {
        name: content for name, content in files.items() if name != ".gitattributes"
    }
    assert zoo.info("hf://me/shared") == zoo.info(ENTRY)


def test_a_push_replaces_what_was_there(hub: StandIn) -> None:
    hub.repo("me/shared").commit(
        {"old.tflite": b"old", "parent-x.yaml": b"x: 1", "notes.txt": b"kept"}
    )
    push("camvid", "hf://me/shared")
    files = hub.repos["me/shared"].commits[hub.repos["me/shared"].refs["main"]]
    assert "old.tflite" not in files and "parent-x.yaml" not in files
    assert files["notes.txt"] == b"kept" and "camvid.tflite" in files


def test_a_push_without_the_right_is_one_sentence(
    hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    done = CliRunner().invoke(main, ["zoo", "push", ENTRY, "hf://me/shared"])
    assert done.exit_code == 1
    (error,) = done.stderr.splitlines()
    assert error.startswith("Error: the hub refuses hf://me/shared: the token is missing")
    assert not hub.repos


def test_a_damaged_entry_is_not_pushed(hub: StandIn, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    for name, content in entry_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"weights\.safetensors is damaged"):
        push(str(folder), "hf://me/shared")
    assert not hub.repos


def test_a_run_goes_to_the_hub_and_gives_the_same_labels(
    hub: StandIn, tiny_run: Path, checkout: Path
) -> None:
    done = CliRunner().invoke(main, ["zoo", "push", str(tiny_run), "hf://me/tiny"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("pushed hf://me/tiny@")
    photo = checkout / "docs" / "images" / "cat.jpg"
    expected = Predictor(zoo.load(tiny_run)).labels(photo)
    found = zoo.load("hf://me/tiny")
    np.testing.assert_array_equal(Predictor(found).labels(photo), expected)
    assert found.spec.name == "tiny"
    if xnor.available():
        by_file = larq_dense.load("hf://me/tiny").labels(photo)
        assert (by_file == expected).mean() > 0.99


@needs_runtime
def test_the_command_line_by_huggingface_hubs_own_settings(
    hub: StandIn, server: tuple[StandIn, str], checkout: Path, tmp_path: Path
) -> None:
    hub.repo("me/mine").commit(entry_files())
    environment = {
        **os.environ,
        "HF_ENDPOINT": server[1],
        "HF_HOME": str(tmp_path / "home"),
    }
    program = "from larq_dense.cli import main; main(prog_name='larq-dense')"
    photo = checkout / "docs" / "images" / "cat.jpg"
    command = [sys.executable, "-c", program, "predict", "hf://me/mine", str(photo), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["images"][0]["shares"]
    labels = Predictor(zoo.find(ENTRY).tflite(int8=True)).labels(photo)
    assert found["object"] == (labels == 1).mean()
    offline = {**environment, "HF_HUB_OFFLINE": "1"}
    again = subprocess.run(command, env=offline, capture_output=True, text=True)
    assert again.stdout == done.stdout
    empty = {**offline, "HF_HOME": str(tmp_path / "empty")}
    refused = subprocess.run(command, env=empty, capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("Error: the hub cannot be reached, and hf://")
    assert "Traceback" not in refused.stderr


def test_the_module_of_addresses_costs_nothing() -> None:
    program = "import sys, larq_dense.zoo.hub; print('huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n"
    assert hub_addresses.parse("hf://a/b").revision is None
