"""Build the page: a folder of files for any web server.

    python web/build.py [web/dist]

Needs `pip install ziglang`, Node.js with npm, and larq_dense for the pretrained networks.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from larq_dense import zoo
from larq_dense.native import build as native
from larq_dense.runtime import ModelSpec
from larq_dense.runtime.metadata import read_spec
from larq_dense.zoo import entries

HERE = Path(__file__).resolve().parent
ZIG = (sys.executable, "-m", "ziglang", "c++", "-target", "wasm32-wasi")
# Memory that threads share, of 1 GiB at most; only a cross-origin isolated page may have it.
SHARED = ("-Wl,--import-memory", "-Wl,--shared-memory", f"-Wl,--max-memory={2**30}")
SHARED += (f"-Wl,--initial-memory={2**25}", "-Wl,--export=__stack_pointer")
EXPORTS = (
    "malloc",
    "free",
    *(
        f"larq_dense_engine_{name}"
        for name in ("open", "close", "input", "output", "metadata", "run")
    ),
)


def main(output: Path) -> None:
    """Write the page into `output`, which is emptied first."""
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(HERE / "static", output)
    compile_module(output)
    compile_engine(output / "engine.wasm", ZIG)
    threads = (*ZIG, "-mcpu=generic+atomics+bulk_memory")
    compile_engine(output / "engine-threads.wasm", threads, ("lend",), SHARED)
    copy_networks(output)
    stamp(output)


def compile_module(output: Path) -> None:
    """Compile the TypeScript module into a folder."""
    if not (HERE / "node_modules" / "typescript").is_dir():
        subprocess.run(["npm", "ci", "--silent", "--no-fund"], cwd=HERE, check=True)
    subprocess.run(["npx", "tsc", "--outDir", str(output.resolve())], cwd=HERE, check=True)


def compile_engine(
    wasm: Path, zig: tuple[str, ...], more_exports: tuple[str, ...] = (), link: tuple[str, ...] = ()
) -> None:
    """Compile the engine to WebAssembly with SIMD.

    Args:
        wasm: The module to write.
        zig: The compiler's command.
        more_exports: Functions of the engine besides the usual ones.
        link: More flags for the linker.
    """
    # Zig keeps what it compiled; a folder of its own keeps that out of the home directory.
    os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(HERE / "node_modules" / ".zig"))
    names = (*EXPORTS, *(f"larq_dense_engine_{name}" for name in more_exports))
    with tempfile.TemporaryDirectory() as scratch:
        objects = native.compile_objects(zig, Path(scratch))
        exports = [f"-Wl,--export={name}" for name in names]
        reactor = ["-mexec-model=reactor", "-nostdlib++", "-O3", "-Wl,--strip-all", *exports, *link]
        command = [*zig, *reactor, *map(str, objects), "-o", str(wasm)]
        subprocess.run(command, check=True)


def copy_networks(output: Path) -> None:
    """Copy every pretrained all-int8 network, and list them in `networks.json`."""
    listed = []
    for name in zoo.list_entries():
        entry = entries.find(name)
        if not entry.int8().is_published:
            continue
        file = entry.tflite(int8=True)
        shutil.copy(file, output / file.name)
        spec = read_spec(file)
        assert spec is not None
        listed.append({"name": name, "title": title(spec), "file": file.name})
    listed.sort(key=lambda each: each["name"] != "ecssd")
    (output / "networks.json").write_text(json.dumps(listed, indent=1), encoding="utf-8")


def title(spec: ModelSpec) -> str:
    """Return what a person chooses a network by."""
    what = "object" if spec.kind == "saliency" else f"{len(spec.classes)} classes"
    return f"{spec.name} ({what})"


def stamp(output: Path) -> None:
    """Name the offline cache by the page's content, so that a new page replaces an old one."""
    worker = output / "service-worker.js"
    digest = hashlib.sha256()
    for path in sorted(output.iterdir()):
        digest.update(path.read_bytes())
    text = worker.read_text(encoding="utf-8")
    worker.write_text(text.replace("VERSION", digest.hexdigest()[:12]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dist")
