"""Finding entries, and getting at their weights: local, fetched, damaged."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from larq_dense import zoo
from larq_dense.common.errors import LarqDenseError, UnknownNameError, WeightsError
from larq_dense.zoo import Entry


def detach(entry: Entry, url: str) -> bytes:
    """Replace the entry's weights by their address; return them."""
    path = entry.folder / "weights.safetensors"
    content = path.read_bytes()
    path.unlink()
    (entry.folder / "weights.url").write_text(url + "\n")
    return content


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """Yield a loopback server's address, the folder it serves, and the paths asked for."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", folder, asked
        running.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for fetched weights, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "larq_dense"


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
    assert zoo.find(published / "tiny") == Entry("tiny", published / "tiny")


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


def test_an_unpublished_entry_is_described_without_figures(tiny: Entry) -> None:
    for file in ("weights.sha256", "metrics.json", "card.md"):
        (tiny.folder / file).unlink()
    described = zoo.info("tiny")
    assert described["sha256"] is None
    assert described["metrics"] == {}
    with pytest.raises(LarqDenseError, match="has no card"):
        tiny.card()


def test_fetches_once_and_keeps(
    tiny: Entry, server: tuple[str, Path, list[str]], cache: Path
) -> None:
    url, folder, asked = server
    content = detach(tiny, f"{url}/tiny.safetensors")
    (folder / "tiny.safetensors").write_bytes(content)
    first = tiny.weights()
    assert first.read_bytes() == content
    assert first.is_relative_to(cache)
    assert tiny.weights() == first
    assert len(asked) == 1


def test_a_damaged_cache_is_fetched_again(
    tiny: Entry, server: tuple[str, Path, list[str]], cache: Path
) -> None:
    url, folder, _ = server
    content = detach(tiny, f"{url}/tiny.safetensors")
    (folder / "tiny.safetensors").write_bytes(content)
    tiny.weights().write_bytes(content[:100])
    assert tiny.weights().read_bytes() == content


def test_a_wrong_download_is_refused_and_not_kept(
    tiny: Entry, server: tuple[str, Path, list[str]], cache: Path
) -> None:
    url, folder, _ = server
    content = detach(tiny, f"{url}/tiny.safetensors")
    (folder / "tiny.safetensors").write_bytes(content[:-1])
    wrong = hashlib.sha256(content[:-1]).hexdigest()[:12]
    with pytest.raises(WeightsError, match=f"its SHA-256 is {wrong}"):
        tiny.weights()
    assert not cache.exists()


def test_a_failed_download_is_one_sentence(
    tiny: Entry, server: tuple[str, Path, list[str]], cache: Path
) -> None:
    detach(tiny, f"{server[0]}/nothing")
    with pytest.raises(WeightsError, match=r"cannot fetch the weights from http.*; try later\.$"):
        tiny.weights()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "not a url", "file:///no/such/file"])
def test_an_unreachable_address_is_one_sentence(tiny: Entry, cache: Path, url: str) -> None:
    detach(tiny, url)
    with pytest.raises(WeightsError, match="cannot fetch the weights from"):
        tiny.weights()


def test_a_cut_off_download_is_one_sentence(tiny: Entry, cache: Path) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"short")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.handle_request, daemon=True).start()
        detach(tiny, f"http://127.0.0.1:{running.server_port}/x")
        with pytest.raises(WeightsError, match="cannot fetch the weights"):
            tiny.weights()
