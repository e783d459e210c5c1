"""Time `larq-dense predict` on a folder: pictures a second, and the processor's time.

    python benchmarks/predict.py ecssd docs/images/cat.jpg

The picture is resized to 400 x 300 and written a hundred times. All runs share one process, so that
the best of them includes opening the model, but no import.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from click.testing import CliRunner
from PIL import Image

from larq_dense.cli import main

WAYS = {
    "overlay": ["--save", "overlay"],
    "overlay as jpg": ["--save", "overlay", "--format", "jpg"],
    "mask": ["--save", "mask"],
    "neither": ["--json"],
}


def run(model: str, folder: Path, output: Path, options: list[str]) -> tuple[float, float]:
    """Label the folder; return the seconds on the clock and those of the processor."""
    written = [] if "--json" in options else ["--output", str(output)]
    begin, used = time.perf_counter(), time.process_time()
    done = CliRunner().invoke(main, ["predict", model, str(folder), *options, *written])
    if done.exit_code:
        raise SystemExit(done.output)
    return time.perf_counter() - begin, time.process_time() - used


def benchmark() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--precision", choices=["int8", "binary"])
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "pictures"
        folder.mkdir()
        picture = Image.open(arguments.picture).convert("RGB").resize((400, 300))
        picture.save(folder / "0.jpg", quality=90)
        content = (folder / "0.jpg").read_bytes()
        for number in range(1, arguments.pictures):
            (folder / f"{number}.jpg").write_bytes(content)
        print(f"load {os.getloadavg()[0]:.1f}, best of {arguments.repeat}")
        form = ["--precision", arguments.precision] if arguments.precision else []
        for name, options in WAYS.items():
            chosen = [*options, *form]
            times = [
                run(arguments.model, folder, Path(temporary) / f"{name}{number}", chosen)
                for number in range(arguments.repeat)
            ]
            wall, used = (min(column) for column in zip(*times, strict=True))
            print(
                f"{name:16}{arguments.pictures / wall:8.0f} pictures/s"
                f"{1000 * used / arguments.pictures:8.1f} ms of processor for each"
            )


if __name__ == "__main__":
    benchmark()
