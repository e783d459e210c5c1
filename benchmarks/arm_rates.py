"""Estimates what parts of a network cost on Arm cores that this machine does not have.

    python benchmarks/arm_rates.py > larq_dense/latency/arm_rates.json

Asks `llvm-mca` for the steady-state cycles of inner loops: that of the XNOR runtime's NEON kernel,
out of its compiled source, and those of loops written here after XNNPACK's NEON microkernels, which
run ordinary convolutions on a phone. Each rate is units of work a cycle, all of it in the cache and
nothing but the loop: what real cores reach at best. `larq_dense/latency/arm.py` says how they are
used.

Needs `aarch64-linux-gnu-g++` and `llvm-mca` of LLVM 16 or later (Debian: g++-aarch64-linux-gnu,
llvm-16). llvm-mca knows the Cortex-A76 and X1 by the model of the older Cortex-A57, which gives one
`fmla` a cycle where they have two: their float32 rates are too low by up to a half.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

from xnor_arm_cycles import LOOPS as KERNELS
from xnor_arm_cycles import assembly, cycles, find

CORES = ("cortex-a55", "cortex-a76", "neoverse-n2")


# One index for all pointers: llvm-mca gives an address that a load updates the latency of the load.
NEXT = "add x20, x20, #16"


def dot(instruction: str, rows: int) -> list[str]:
    """Return 8 steps of depth of 4 pixels by 16 channels: 512 multiply-adds."""
    loop = [f"ldr d{i}, [x{i + 3}, x20]" for i in range(4)]
    loop += [f"ldp q{4 + 2 * i}, q{5 + 2 * i}, [x7, #{32 * i}]" for i in range(4)]
    if rows == 4:  # sdot: 4 products a lane, by lane of the picture's row
        for half in range(2):
            for row in range(4):
                for column in range(4):
                    target, weight = 16 + 4 * row + column, 4 + 4 * half + column
                    loop.append(f"{instruction} v{target}.4s, v{weight}.16b, v{row}.4b[{half}]")
    else:  # smmla: two rows by two channels, 8 products each
        loop += ["trn1 v0.2d, v0.2d, v1.2d", "trn1 v2.2d, v2.2d, v3.2d"]
        for pair in range(2):
            for column in range(8):
                target, weight = 16 + 8 * pair + column, 4 + column
                loop.append(f"{instruction} v{target}.4s, v{2 * pair}.16b, v{weight}.16b")
    return [*loop, NEXT, "add x7, x7, #128", "subs x0, x0, #8", "b.ne -128"]


def float_dot() -> list[str]:
    """Return 4 steps of depth of 6 pixels by 8 channels: 192 multiply-adds."""
    loop = [f"ldr q{i}, [x{i + 3}, x20]" for i in range(6)]
    for k in range(4):
        loop.append(f"ldp q6, q7, [x9, #{32 * k}]")
        for row in range(6):
            loop += [f"fmla v{16 + 2 * row + c}.4s, v{6 + c}.4s, v{row}.s[{k}]" for c in range(2)]
    return [*loop, NEXT, "add x9, x9, #128", "subs x0, x0, #16", "b.ne -128"]


def depthwise() -> list[str]:
    """Return a 3x3 window of 16 channels: products in pairs of taps, sums in 32 bits."""
    loop = []
    for tap in range(9):
        loop += [f"ldr q0, [x{tap + 1}, x20]", f"ldr q1, [x10, #{16 * tap}]"]
        form = "smlal" if tap % 2 else "smull"
        loop += [f"{form} v4.8h, v0.8b, v1.8b", f"{form}2 v5.8h, v0.16b, v1.16b"]
        if tap % 2 or tap == 8:
            loop += ["saddw v16.4s, v16.4s, v4.4h", "saddw2 v17.4s, v17.4s, v4.8h"]
            loop += ["saddw v18.4s, v18.4s, v5.4h", "saddw2 v19.4s, v19.4s, v5.8h"]
    return loop


def float_depthwise() -> list[str]:
    """Return a 3x3 window of 4 channels."""
    loop = []
    for tap in range(9):
        loop += [f"ldr q0, [x{tap + 1}, x20]", f"ldr q1, [x10, #{16 * tap}]"]
        loop.append(f"fmla v{16 + tap % 2}.4s, v0.4s, v1.4s")
    return [*loop, "fadd v16.4s, v16.4s, v17.4s", "str q16, [x0, x20]", NEXT]


def requantize() -> list[str]:
    """Return what turns 16 sums of 32 bits into int8: shift, product, rounding shift, bounds."""
    loop = []
    for i in range(4):
        loop += [f"sqshl v{i}.4s, v{i + 16}.4s, v30.4s", f"sqdmulh v{i}.4s, v{i}.4s, v31.4s"]
        loop.append(f"srshl v{i}.4s, v{i}.4s, v29.4s")
    loop += ["sqxtn v0.4h, v0.4s", "sqxtn2 v0.8h, v1.4s", "sqxtn v2.4h, v2.4s"]
    loop += ["sqxtn2 v2.8h, v3.4s", "sqadd v0.8h, v0.8h, v28.8h", "sqadd v2.8h, v2.8h, v28.8h"]
    loop += ["sqxtn v0.8b, v0.8h", "sqxtn2 v0.16b, v2.8h"]
    return [*loop, "smax v0.16b, v0.16b, v26.16b", "smin v0.16b, v0.16b, v27.16b", STORE]


STORE = "str q0, [x0, x20]"
LOADS = [NEXT, "ldr q0, [x1, x20]", "ldr q1, [x2, x20]"]


def rescaled_add() -> list[str]:
    """Return a sum of 16 int8 pairs of unlike ranges, as XNNPACK's."""
    loop = [*LOADS]
    for i in range(4):
        loop += [f"sxtl v{i + 4}.8h, v0.8b", f"sxtl v{i + 8}.4s, v{i + 4}.4h"]
        loop += [f"sxtl v{i + 12}.8h, v1.8b", f"sxtl v{i + 16}.4s, v{i + 12}.4h"]
        loop += [f"mul v{i + 8}.4s, v{i + 8}.4s, v31.4s", f"mla v{i + 8}.4s, v{i + 16}.4s, v30.4s"]
        loop.append(f"srshl v{i + 8}.4s, v{i + 8}.4s, v29.4s")
    loop += ["sqxtn v0.4h, v8.4s", "sqxtn2 v0.8h, v9.4s", "sqxtn v2.4h, v10.4s"]
    loop += ["sqxtn2 v2.8h, v11.4s", "sqxtn v0.8b, v0.8h", "sqxtn2 v0.16b, v2.8h", STORE]
    return loop


def maximum() -> list[str]:
    """Return a 3x3 maximum of 16 channels."""
    loop = [f"ldr q{i}, [x{i + 1}, x20]" for i in range(9)]
    return [*loop, *(f"smax v0.16b, v0.16b, v{i}.16b" for i in range(1, 9)), STORE]


def bilinear() -> list[str]:
    """Return 16 int8 values, each out of four, with weights of 11 bits, as XNNPACK's."""
    loop = [f"ldr q{i}, [x{i + 1}, x20]" for i in range(4)]
    for i in range(4):
        loop += [f"ssubl v{i + 4}.8h, v1.8b, v0.8b", f"ssubl v{i + 8}.8h, v2.8b, v0.8b"]
        loop += [
            f"sshll v{i + 12}.4s, v{i + 4}.4h, #11",
            f"smlal v{i + 12}.4s, v{i + 8}.4h, v31.h[0]",
        ]
        loop += [f"sshll v{i + 16}.4s, v{i + 12}.4h, #11"]
        loop += [f"mla v{i + 16}.4s, v{i + 12}.4s, v30.s[0]"]
    loop += ["addhn v0.4h, v16.4s, v29.4s", "addhn2 v0.8h, v17.4s, v29.4s"]
    loop += ["addhn v2.4h, v18.4s, v29.4s", "addhn2 v2.8h, v19.4s, v29.4s"]
    return [*loop, "rshrn v0.8b, v0.8h, #6", "rshrn2 v0.16b, v2.8h, #6", STORE]


# Loop, and how much work one iteration is: multiply-adds, or values written.
LOOPS: dict[str, tuple[list[str], int]] = {
    "int8_macs_sdot": (dot("sdot", 4), 512),
    "int8_macs_smmla": (dot("smmla", 2), 512),
    "int8_depthwise_macs": (depthwise(), 9 * 16),
    "float_macs": (float_dot(), 192),
    "float_depthwise_macs": (float_depthwise(), 9 * 4),
    "requantized_values": (requantize(), 16),
    "int8_sums": ([*LOADS, "sqadd v0.16b, v0.16b, v1.16b", STORE], 16),
    "int8_rescaled_sums": (rescaled_add(), 16),
    "int8_maxima": (maximum(), 16),
    "int8_bilinear_values": (bilinear(), 16),
    "float_values": ([*LOADS, "fadd v0.4s, v0.4s, v1.4s", STORE], 4),
    "packed_bits": (
        [NEXT, "ldr q0, [x1, x20]", "cmgt v0.16b, v31.16b, v0.16b", "and v0.16b, v0.16b, v30.16b",
         "addp v0.16b, v0.16b, v0.16b", "addp v0.16b, v0.16b, v0.16b",
         "addp v0.16b, v0.16b, v0.16b", "str h0, [x0, x20]"],
        16,
    ),
}  # fmt: skip


def main() -> int:
    """Print the rates as JSON."""
    mca = shutil.which("llvm-mca-16") or shutil.which("llvm-mca")
    if mca is None or shutil.which("aarch64-linux-gnu-g++") is None:
        print("llvm-mca or aarch64-linux-gnu-g++ is not installed.", file=sys.stderr)
        return 1
    version = subprocess.run([mca, "--version"], capture_output=True, text=True, check=True).stdout
    binary = KERNELS[0]
    loop = find(assembly("aarch64-linux-gnu-g++", binary), binary)
    loops = {"binary_macs": (loop, binary.macs), **LOOPS}
    rates = {
        core: {
            name: round(units / cycles(loop, core, mca), 2) for name, (loop, units) in loops.items()
        }
        for core in CORES
    }
    found = re.search(r"version (\S+)", version)
    print(json.dumps({"llvm_mca": found and found[1], "units_a_cycle": rates}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
