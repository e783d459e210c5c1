"""The machine: its processor, its cores, and the versions that matter to latency."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

_TOLD = (
    # x86-64
    "sse4_2",
    "popcnt",
    "avx",
    "fma",
    "avx2",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_bitalg",
    "avx512_vpopcntdq",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    # Arm
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
    "sve2",
)
"""The instruction sets that kernels for convolutions are written for."""


# Limit and use of a container's memory, in the second and the first form of control groups.
_CONTAINER_MEMORY = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def describe_machine() -> dict[str, Any]:
    """Return the processor, its instruction sets and the versions that matter to latency.

    Returns:
        `cpu`, `instruction_sets`, `cores` (those this process may use), `system`, `python`, and
        the versions of TensorFlow, Larq Compute Engine and LiteRT, None where not installed.
    """
    cpu, flags = processor()
    return {
        "cpu": cpu,
        "instruction_sets": [name for name in _TOLD if name in flags],
        "cores": usable_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "tensorflow": _version("tensorflow"),
        "larq_compute_engine": _version("larq-compute-engine"),
        "litert": _version("ai-edge-litert"),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> int:
    """Return the bytes that this process may still take: the machine's, or its container's."""
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used in _CONTAINER_MEMORY:
        try:
            left = int(Path(limit).read_text()) - int(Path(used).read_text())
        except (OSError, ValueError):  # not there, or "max"
            continue
        free = min(free, max(left, 0) + _reclaimable(Path(used).parent / "memory.stat"))
    return free


def _reclaimable(stat: Path) -> int:
    """Return the bytes of files that a container keeps in memory as long as nobody wants it."""
    try:
        values = dict(line.split() for line in stat.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(values.get("inactive_file", 0)) + int(values.get("active_file", 0))


def processor() -> tuple[str, set[str]]:
    """Return the processor's name and its instruction sets in Linux's spelling."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        return parse_cpuinfo(listing.read_text(encoding="utf-8"))
    if platform.system() == "Darwin":
        name = _sysctl("machdep.cpu.brand_string")
        features = _sysctl("machdep.cpu.features") + " " + _sysctl("machdep.cpu.leaf7_features")
        return name or platform.processor(), {
            flag.replace(".", "_") for flag in features.lower().split()
        }
    return platform.processor() or "unknown", set()


def parse_cpuinfo(text: str) -> tuple[str, set[str]]:
    """Return the model name and the flags that `/proc/cpuinfo` tells.

    Args:
        text: The file's text, of an x86-64 or an Arm kernel; the latter names no model.
    """
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, found, value = line.partition(":")
        if found:
            values.setdefault(key.strip(), value.strip())
    flags = values.get("flags") or values.get("Features") or ""
    return values.get("model name") or platform.machine(), set(flags.split())


def _sysctl(key: str) -> str:
    try:
        done = subprocess.run(["sysctl", "-n", key], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
