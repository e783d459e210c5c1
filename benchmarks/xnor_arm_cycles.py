"""Estimates what the NEON kernel costs on Arm cores that this machine does not have.

    python benchmarks/xnor_arm_cycles.py

Compiles the kernel for 64-bit Arm, takes the inner loop out of the assembly and asks `llvm-mca` for
its steady-state cycles on several cores. Beside it stand what the core's `cnt` alone would allow,
one for each 128 binary multiply-adds and nothing else, and the limit by which the x86 kernels are
measured too: a loop of xor, popcount and add on registers, without any load.

Needs `aarch64-linux-gnu-g++` and `llvm-mca` (Debian: g++-aarch64-linux-gnu, llvm).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "native" / "src" / "kernel_neon.cc"
CORES = ("cortex-a55", "cortex-a76", "cortex-x1")
PIXELS, CHANNELS, WORDS = 3, 8, 3  # of one iteration, as in kernel_neon.cc
MACS = PIXELS * CHANNELS * WORDS * 32
FLAGS = ("-std=c++17", "-O3", "-fno-exceptions", "-fno-rtti", "-ffp-contract=off")


def assembly(compiler: str) -> str:
    """Return the kernel's assembly."""
    command = [compiler, *FLAGS, "-S", str(SOURCE), "-o", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def inner_loop(text: str) -> list[str]:
    """Return the instructions of the loop over triples in the widest float tile.

    The compiler may have built that tile into the function that calls it.
    """
    for function in re.split(r"\.cfi_endproc", text):
        if re.search(r"^\S*tile_float\S*:$", function, re.M) and (loop := _loop(function)):
            return loop
    raise SystemExit("the inner loop was not found in the assembly")


def _loop(function: str) -> list[str] | None:
    """Return the loop that selects once for each vector of the widest tile."""
    labels: dict[str, int] = {}
    lines = [line.strip() for line in function.splitlines()]
    wanted = PIXELS * CHANNELS // 4
    for i, line in enumerate(lines):
        if label := re.match(r"^(\.L\w+):", line):
            labels[label[1]] = i
        branch = re.match(r"^(?:b\.?\w+|cbnz|cbz)\s.*?(\.L\w+)$", line)
        if branch and branch[1] in labels:
            loop = [x for x in lines[labels[branch[1]] + 1 : i + 1] if x and x[0] not in "./#"]
            if sum(x.startswith(("bsl", "bit", "bif")) for x in loop) == wanted:
                return loop
    return None


def cycles(loop: list[str], core: str) -> float:
    """Return llvm-mca's cycles for one iteration of the loop."""
    iterations = 200
    command = ["llvm-mca", "-mtriple=aarch64", f"-mcpu={core}", f"-iterations={iterations}"]
    text = subprocess.run(
        command, input="\n".join(loop) + "\n", capture_output=True, text=True, check=True
    ).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", text)[1]) / iterations  # type: ignore[index]


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", default="aarch64-linux-gnu-g++")
    given = parser.parse_args()
    for tool in (given.compiler, "llvm-mca"):
        if shutil.which(tool) is None:
            print(f"{tool} is not installed.", file=sys.stderr)
            return 1
    loop = inner_loop(assembly(given.compiler))
    counts = [f"cnt v{i}.16b, v{i + 16}.16b" for i in range(16)]
    print(f"{len(loop)} instructions for {MACS} binary multiply-adds")
    limit = [f"eor v{i}.16b, v{i + 8}.16b, v30.16b" for i in range(8)]
    limit += [f"cnt v{i}.16b, v{i}.16b" for i in range(8)]
    limit += [f"add v{i + 16}.16b, v{i + 16}.16b, v{i}.16b" for i in range(8)]
    print("| core | cycles | MACs a cycle | by cnt alone | xor, cnt, add limit | of the limit |")
    print("| --- | --- | --- | --- | --- | --- |")
    for core in CORES:
        spent = cycles(loop, core)
        rate = MACS / spent
        allowed = 128 * 16 / cycles(counts, core)
        most = 128 * 8 / cycles(limit, core)
        print(
            f"| {core} | {spent:.1f} | {rate:.1f} | {allowed:.1f} | {most:.1f} "
            f"| {rate / most:.2f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
