"""The page and its module, against `Predictor` on the same files and pictures."""

import dataclasses
import functools
import http.server
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from scripts import load_script

from larq_dense import zoo
from larq_dense.runtime import Predictor, read_spec
from larq_dense.zoo import entries

LARGEST = 4_000_000  # bytes that a visitor loads
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js with npm"),
    pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="needs ziglang"),
]


@pytest.fixture(scope="module")
def build(checkout: Path) -> ModuleType:
    return load_script(checkout / "web" / "build.py")


@pytest.fixture(scope="module")
def page(build: ModuleType, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (checkout / "web" / "node_modules").is_dir():
        done = subprocess.run(["npm", "ci", "--silent", "--no-fund"], cwd=checkout / "web")
        if done.returncode:
            pytest.skip("npm cannot install TypeScript here")
    output = tmp_path_factory.mktemp("web") / "dist"
    build.main(output)
    return output


def picture(width: int, height: int) -> np.ndarray:
    """Return soft shapes, uint8 `[height, width, 3]`: noise would hide a shifted edge."""
    rng = np.random.default_rng(width * height)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def published() -> list[str]:
    return [name for name in zoo.list_entries() if entries.find(name).int8().is_published]


@pytest.mark.parametrize("name", published())
@pytest.mark.parametrize("size", [(97, 130), (400, 300)])
def test_labels_equal_pythons(name: str, size: tuple[int, int], page: Path, checkout: Path) -> None:
    width, height = size
    pixels = picture(width, height)
    alpha = np.full((height, width, 1), 255, np.uint8)
    model = page / f"{name}_int8.tflite"
    script = checkout / "web" / "test" / "labels.mjs"
    done = subprocess.run(
        ["node", str(script), str(page), str(model), str(width), str(height)],
        input=np.concatenate([pixels, alpha], axis=-1).tobytes(),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    labels = np.frombuffer(done.stdout, np.uint8).reshape(height, width)
    np.testing.assert_array_equal(labels, Predictor(model).labels(pixels))


@pytest.mark.parametrize("size", [(97, 130), (400, 150)])
def test_a_letterboxed_picture(
    size: tuple[int, int], page: Path, checkout: Path, tmp_path: Path
) -> None:
    pytest.importorskip("larq_compute_engine")
    from larq_dense.conversion.metadata import add_metadata

    content = (page / "ecssd_int8.tflite").read_bytes()
    spec = read_spec(content)
    assert spec is not None
    fitted = dataclasses.replace(spec.preprocessing, fit="letterbox")
    model = tmp_path / "letterbox_int8.tflite"
    model.write_bytes(add_metadata(content, dataclasses.replace(spec, preprocessing=fitted)))
    test_labels_equal_pythons(
        str(model.with_suffix("")).removesuffix("_int8"), size, page, checkout
    )


def test_the_page_stays_small(page: Path) -> None:
    """The page, both builds of the engine and any one network together."""
    sizes = {each: each.stat().st_size for each in page.iterdir()}
    networks = [size for each, size in sizes.items() if each.suffix == ".tflite"]
    assert sum(sizes.values()) - sum(networks) + max(networks) < LARGEST


@pytest.fixture(params=[False, True], ids=["alone", "isolated"])
def isolated(request: pytest.FixtureRequest) -> bool:
    """Return whether the page is cross-origin isolated, so that its threads may share memory."""
    return bool(request.param)


@dataclasses.dataclass(frozen=True)
class Site:
    """The page on a server, and the names of all files that were asked of it."""

    address: str
    asked: set[str]


@pytest.fixture
def site(page: Path, isolated: bool) -> Iterator[Site]:
    asked: set[str] = set()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep the name instead of printing it."""
            asked.add(self.path.lstrip("/") or "index.html")

        def end_headers(self) -> None:
            if isolated:
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            super().end_headers()

    handler = functools.partial(Quiet, directory=str(page))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(f"http://127.0.0.1:{server.server_port}/", asked)
        server.shutdown()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
def test_page_in_chromium(
    page: Path, site: Site, isolated: bool, checkout: Path, tmp_path: Path
) -> None:
    pixels = picture(320, 240)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    (tmp_path / "note.txt").write_text("no picture")
    script = checkout / "web" / "test" / "page.mjs"
    files = [str(tmp_path / "picture.png"), str(tmp_path / "note.txt")]
    done = subprocess.run(
        ["node", str(script), str(CHROMIUM), site.address, *files], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    print({key: value for key, value in seen.items() if key != "labels"}, file=sys.stderr)
    expected = Predictor(page / "ecssd_int8.tflite").labels(pixels)
    np.testing.assert_array_equal(np.reshape(seen["labels"], (240, 320)), expected)
    threads = min(4, os.cpu_count() or 1)
    assert (f"is ready on {threads} threads" in seen["ready"]) == (isolated and threads > 1)
    assert "note.txt is not a picture" in seen["refusedFile"]
    assert "is ready" in seen["offline"]
    assert "camera" in seen["refusedCamera"].lower()
    assert seen["problems"] == []
    # Neither the page nor what it keeps for later without a connection asks for other networks.
    loaded = [page / name for name in site.asked if (page / name).is_file()]
    assert [each.name for each in loaded if each.suffix == ".tflite"] == ["ecssd_int8.tflite"]
    assert sum(each.stat().st_size for each in loaded) < LARGEST
