"""Run a command of `larq-dense` as on a processor that has AVX2 and nothing wider.

    python benchmarks/avx2_only.py frontier recipes/ecssd/*.yaml --threads 1

LiteRT's XNNPACK chooses its kernels by what the library cpuinfo, a part of it, found of the
processor, and has no setting for that. So this takes AVX-VNNI, AVX-512 and AMX out of what cpuinfo
found before XNNPACK asks. The XNOR runtime is told by `LARQ_DENSE_XNOR_ISA`. Needs Linux and `nm`
(binutils). TensorFlow, which times nothing, is left as it is.
"""

import ctypes
import os
import subprocess
from pathlib import Path

import ai_edge_litert.interpreter

LIBRARY = Path(ai_edge_litert.__file__).parent / "libpywrap_litert_common.so"

# The part of cpuinfo's table that matters, in its order, a byte each (include/cpuinfo.h), as Linux
# calls it.
FIRST = 21
FLAGS = (
    *("misalignsse", "avx", "avx_vnni", "fma", "fma4", "xop", "f16c", "avx2", "avx512f"),
    *("avx512pf", "avx512er", "avx512cd", "avx512dq", "avx512bw", "avx512vl", "avx512ifma"),
    *("avx512vbmi", "avx512_vbmi2", "avx512_bitalg", "avx512_vpopcntdq", "avx512_vnni"),
    *("avx512_bf16", "avx512_fp16", "avx512_vp2intersect", "avx512_4vnniw", "avx512_4fmaps"),
)
# AVX10, AMX, AVX-VNNI-INT8 and INT16 and AVX-NE-CONVERT follow, of which Linux does not name all.
FOLLOWING = 10
HIDDEN = ("avx_vnni", "avx512")


def found_features() -> "ctypes.Array[ctypes.c_uint8]":
    """Return what cpuinfo found of the processor, from FIRST on: the bytes that XNNPACK reads."""
    lines = subprocess.check_output(["nm", LIBRARY], text=True).splitlines()
    symbols = {line.split()[-1]: int(line.split()[0], 16) for line in lines if " cpuinfo_i" in line}
    maps = Path("/proc/self/maps").read_text(encoding="ascii").splitlines()
    base = min(int(line.split("-")[0], 16) for line in maps if line.endswith(str(LIBRARY)))
    initialize = ctypes.CFUNCTYPE(ctypes.c_bool)(base + symbols["cpuinfo_initialize"])
    assert initialize(), "cpuinfo does not know this processor"
    table = ctypes.c_uint8 * (len(FLAGS) + FOLLOWING)
    return table.from_address(base + symbols["cpuinfo_isa"] + FIRST)


def linux_flags() -> set[str]:
    """Return what Linux says of the processor."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return set(next(line for line in text.splitlines() if line.startswith("flags")).split())


def main() -> None:
    """Hide, then run."""
    features, flags = found_features(), linux_flags()
    if [bool(each) for each in features[: len(FLAGS)]] != [each in flags for each in FLAGS]:
        raise SystemExit("Error: this LiteRT's cpuinfo has another table; mend FIRST and FLAGS.")
    for index in range(len(features)):
        if index >= len(FLAGS) or FLAGS[index].startswith(HIDDEN):
            features[index] = 0
    os.environ["LARQ_DENSE_XNOR_ISA"] = "avx2"

    from larq_dense.cli import main as larq_dense

    larq_dense(prog_name="larq-dense")


if __name__ == "__main__":
    main()
