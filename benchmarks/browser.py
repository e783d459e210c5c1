"""Times the engine and LiteRT.js on one page in headless Chromium, one thread each, in turn.

    pip install ziglang && make web
    python benchmarks/browser.py --repeats 30

Ours is an entry's all-int8 file, the rival MobileNetV2 with Lite R-ASPP in int8 (random weights),
for the same input and output. LiteRT.js is npm's @litertjs/core, fetched for the run; its build for
one thread runs on XNNPACK. Both run on the page's main thread.
"""

import functools
import http.server
import json
import shutil
import statistics
import subprocess
import tempfile
import threading
from pathlib import Path

import click

WEB = Path(__file__).resolve().parents[1] / "web"


@click.command()
@click.option("--entry", default="ecssd", show_default=True)
@click.option("--repeats", default=30, show_default=True)
@click.option("--page", type=click.Path(path_type=Path), default=WEB / "dist", show_default=True)
@click.option("--rival", type=click.Path(path_type=Path), help="Its file, made where left out.")
def main(entry: str, repeats: int, page: Path, rival: Path | None) -> None:
    """Print the medians and the least times in milliseconds."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "page"
        shutil.copytree(page, folder)
        fetch_litert(folder)
        (folder / "rival.tflite").write_bytes(rival.read_bytes() if rival else make_rival(entry))
        times = run(folder, f"{entry}_int8.tflite", repeats)
    for name, each in times.items():
        print(f"{name}: {statistics.median(each):.1f} ms ({min(each):.1f})")


def fetch_litert(page: Path) -> None:
    """Put LiteRT.js into the page's folder, and `rival.html`, which knows where it is."""
    install = ["npm", "install", "--silent", "--no-save", "--prefix", str(page), "@litertjs/core"]
    subprocess.run(install, check=True)
    (page / "node_modules" / "@litertjs").rename(page / "litertjs")
    names = ("core", "wasm-utils")
    imports = {f"@litertjs/{name}": f"./litertjs/{name}/dist/index.js" for name in names}
    table = json.dumps({"imports": imports})
    html = (
        f'<!doctype html><link rel="icon" href="data:,"><script type="importmap">{table}</script>'
    )
    (page / "rival.html").write_text(html, encoding="utf-8")


def make_rival(entry: str) -> bytes:
    """Return the rival's file."""
    import numpy as np

    from larq_dense import zoo
    from larq_dense.conversion.baseline import int8_tflite
    from larq_dense.models import build_model
    from larq_dense.runtime import read_spec

    spec = read_spec(zoo.find(entry).tflite(int8=True))
    assert spec is not None
    shape = (spec.preprocessing.height, spec.preprocessing.width, 3)
    options = {"input_shape": shape, "precision": "float"}
    model = build_model(spec.num_outputs, "mobilenet_v2", "lraspp", **options)
    random = np.random.default_rng(0)
    noise = [random.uniform(-1, 1, (1, *shape)).astype(np.float32) for _ in range(2)]
    return int8_tflite(model, noise)


def run(folder: Path, ours: str, repeats: int) -> dict[str, list[float]]:
    """Serve the folder and return what the page measures."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        chromium = shutil.which("chromium") or "chromium-browser"
        files = (ours, "rival.tflite", str(repeats))
        script = str(WEB / "test" / "rival.mjs")
        done = subprocess.run(
            ["node", script, chromium, address, *files], check=True, capture_output=True, text=True
        )
        server.shutdown()
    times: dict[str, list[float]] = json.loads(done.stdout)
    return times


if __name__ == "__main__":
    main()
