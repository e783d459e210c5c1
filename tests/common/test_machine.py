"""The machine's description, from kernels' own listings."""

import platform
from pathlib import Path

import pytest

from larq_dense.common.machine import describe_machine, parse_cpuinfo, usable_cores

X86 = """\
processor\t: 0
model name\t: Some CPU @ 2.60GHz
flags\t\t: fpu sse4_2 popcnt avx avx2 avx512f

processor\t: 1
model name\t: Some CPU @ 2.60GHz
flags\t\t: fpu sse4_2
"""
ARM = """\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd asimddp sve
CPU implementer\t: 0x41
"""


def test_x86_tells_its_name_and_flags() -> None:
    name, flags = parse_cpuinfo(X86)
    assert name == "Some CPU @ 2.60GHz"
    assert {"popcnt", "avx512f"} <= flags


def test_arm_tells_its_features_and_falls_back_to_the_architecture() -> None:
    name, flags = parse_cpuinfo(ARM)
    assert name == platform.machine()
    assert flags == {"fp", "asimd", "asimddp", "sve"}


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="reads Linux's own listing")
def test_this_machine_is_described() -> None:
    found = describe_machine()
    listing = Path("/proc/cpuinfo").read_text()
    assert found["cores"] == usable_cores() >= 1
    assert found["instruction_sets"]
    assert set(found["instruction_sets"]) <= set(listing.split())
    assert found["cpu"] in listing or found["cpu"] == platform.machine()
    assert found["tensorflow"].startswith("2.")
    assert found["larq_compute_engine"].startswith("0.16")
