"""Estimates what the Arm kernels cost on cores that this machine does not have.

    python benchmarks/xnor_arm_cycles.py

Compiles the kernels for 64-bit Arm, takes the inner loops out of the assembly and asks `llvm-mca`
for their steady-state cycles on several cores. The binary convolution is compared with what the
core's `cnt` alone would allow, one for each 128 multiply-adds and nothing else, and with the limit
by which the x86 kernels are measured too: a loop of xor, popcount and add on registers, without any
load. The int8 convolutions are compared with a loop of nothing but `sdot` or `smmla`.

LLVM has no model of its own for the Cortex-A76: it takes the A57's, whose vector pipes are as many.
The Neoverse-N2 is the sister of Cortex-A710 and X2.

Needs `aarch64-linux-gnu-g++` and `llvm-mca` of LLVM 16 or later (Debian: g++-aarch64-linux-gnu,
llvm-16).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "native" / "src"
CORES = ("cortex-a55", "cortex-a76", "neoverse-n2")
FLAGS = ("-std=c++17", "-O3", "-fno-exceptions", "-fno-rtti", "-ffp-contract=off")


@dataclass(frozen=True)
class Loop:
    """An inner loop of a kernel, known by how often it has one instruction."""

    name: str
    source: str
    flags: tuple[str, ...]
    function: str
    instructions: tuple[str, ...]
    count: int
    macs: int  # of one iteration
    limits: dict[str, tuple[int, list[str]]]  # MACs and instructions of what else is timed


XOR_COUNT_ADD = [
    *(f"eor v{i}.16b, v{i + 8}.16b, v30.16b" for i in range(8)),
    *(f"cnt v{i}.16b, v{i}.16b" for i in range(8)),
    *(f"add v{i + 16}.16b, v{i + 16}.16b, v{i}.16b" for i in range(8)),
]
LOOPS = (
    Loop(
        name="binary, NEON",
        source="kernel_neon.cc",
        flags=(),
        function="tile_elements",
        instructions=("bsl", "bit", "bif"),
        count=2 * 4,  # pixels, vectors
        macs=2 * 16 * 3 * 32,
        limits={
            "cnt alone": (128 * 16, [f"cnt v{i}.16b, v{i + 16}.16b" for i in range(16)]),
            "xor, cnt, add": (128 * 8, XOR_COUNT_ADD),
        },
    ),
    Loop(
        name="int8, sdot",
        source="kernel_dotprod.cc",
        flags=("-march=armv8.2-a+dotprod",),
        function="tile_bytes",
        instructions=("sdot",),
        count=4 * 4 * 4,  # pixels, vectors, groups
        macs=4 * 16 * 16,
        limits={"sdot alone": (16 * 24, [f"sdot v{i}.4s, v30.16b, v31.4b[0]" for i in range(24)])},
    ),
    Loop(
        name="int8, smmla",
        source="kernel_i8mm.cc",
        flags=("-march=armv8.2-a+dotprod+i8mm",),
        function="tile_bytes",
        instructions=("smmla",),
        count=3 * 8,  # pairs of pixels, pairs of channels
        macs=6 * 16 * 8,
        limits={"smmla alone": (32 * 24, [f"smmla v{i}.4s, v30.16b, v31.16b" for i in range(24)])},
    ),
)


def assembly(compiler: str, loop: Loop) -> str:
    """Return the assembly of a kernel."""
    command = [compiler, *FLAGS, *loop.flags, "-S", str(SOURCES / loop.source), "-o", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def find(text: str, loop: Loop) -> list[str]:
    """Return the instructions of a loop; the compiler may have built it into the caller."""
    for function in re.split(r"\.cfi_endproc", text):
        if not re.search(rf"^\S*{loop.function}\S*:$", function, re.M):
            continue
        labels: dict[str, int] = {}
        lines = [line.strip() for line in function.splitlines()]
        for i, line in enumerate(lines):
            if label := re.match(r"^(\.L\w+):", line):
                labels[label[1]] = i
            branch = re.match(r"^(?:b\.?\w+|cbnz|cbz)\s.*?(\.L\w+)$", line)
            if branch and branch[1] in labels:
                body = [x for x in lines[labels[branch[1]] + 1 : i + 1] if x and x[0] not in "./#"]
                if sum(x.split()[0] in loop.instructions for x in body) == loop.count:
                    return body
    raise SystemExit(f"the inner loop of {loop.name} was not found in the assembly")


def cycles(body: Sequence[str], core: str, mca: str) -> float:
    """Return llvm-mca's cycles for one iteration."""
    iterations = 200
    command = [mca, "-mtriple=aarch64", f"-mcpu={core}", "-mattr=+dotprod,+i8mm"]
    text = subprocess.run(
        [*command, f"-iterations={iterations}"],
        input="\n".join(body) + "\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", text)[1]) / iterations  # type: ignore[index]


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", default="aarch64-linux-gnu-g++")
    given = parser.parse_args()
    mca = shutil.which("llvm-mca-16") or shutil.which("llvm-mca")
    if mca is None or shutil.which(given.compiler) is None:
        print(f"llvm-mca or {given.compiler} is not installed.", file=sys.stderr)
        return 1
    print("| loop | core | instructions | cycles | MACs a cycle | limits, MACs a cycle |")
    print("| --- | --- | --- | --- | --- | --- |")
    for loop in LOOPS:
        body = find(assembly(given.compiler, loop), loop)
        for core in CORES:
            spent = cycles(body, core, mca)
            limits = ", ".join(
                f"{name} {macs / cycles(other, core, mca):.1f}"
                for name, (macs, other) in loop.limits.items()
            )
            rate = f"{loop.macs / spent:.1f}"
            print(f"| {loop.name} | {core} | {len(body)} | {spent:.1f} | {rate} | {limits} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
