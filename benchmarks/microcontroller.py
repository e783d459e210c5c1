"""What an all-int8 network needs on a Cortex-M7 and a Cortex-M33, in QEMU.

    apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm
    python benchmarks/microcontroller.py NAME_int8.tflite

The engine is compiled with its portable kernels alone and linked with the network into one program,
which runs once, on a board of Arm's that QEMU models (MPS2, images AN500 and AN505). Printed are
the bytes of flash (program and network), the bytes of RAM (all that malloc took; the stack has 64
KiB more), and the instructions of a run. QEMU counts instructions, not cycles. The result is
compared with that of the engine on this machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from larq_dense.native import build
from larq_dense.runtime.engine import Engine

HERE = Path(__file__).resolve().parent
STACK = 65536


class Core(NamedTuple):
    """A processor, and where its board has memory.

    Attributes:
        machine: QEMU's name of the board.
        flags: The compiler's flags for the processor.
        flash: Where the program lies; 4 MB there stand for flash.
        ram: Where 16 MB of memory lie.
        timer: The address of a timer.
        hertz: Its ticks a second.
    """

    machine: str
    flags: tuple[str, ...]
    flash: int
    ram: int
    timer: int
    hertz: int


CORES = {
    "cortex-m7": Core(
        "mps2-an500",
        ("-mcpu=cortex-m7", "-mfpu=fpv5-d16"),
        *(0x00000000, 0x60000000, 0x40002000, 25_000_000),
    ),
    "cortex-m33": Core(
        "mps2-an505",
        ("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16"),
        *(0x10000000, 0x80000000, 0x50002000, 20_000_000),
    ),
}
COMMON = ("-mthumb", "-mfloat-abi=hard", "-ffunction-sections", "-fdata-sections", "-DNDEBUG")
# The host's flags, without those that mean nothing here.
CXX_FLAGS = [flag for flag in build.FLAGS if flag not in ("-fPIC", "-O3")]
LINK = """
MEMORY {{ FLASH : ORIGIN = {flash:#x}, LENGTH = 4M
         RAM : ORIGIN = {ram:#x}, LENGTH = 16M }}
SECTIONS {{
  .text : {{ KEEP(*(.vectors)) *(.text*) *(.rodata*) *(.ARM.ex*) *(.init*) *(.fini*) }} > FLASH
  .data : {{ *(.data*) }} > RAM
  .bss (NOLOAD) : {{ bss_start = .; *(.bss*) *(COMMON) . = ALIGN(8); bss_end = .; }} > RAM
  heap_start = .;
  stack_top = ORIGIN(RAM) + LENGTH(RAM);
  heap_end = stack_top - {stack};
  end = heap_start;
}}
"""
NETWORK = """
.section .rodata.network
.balign 16
.global network, network_end
network: .incbin "{path}"
network_end:
"""


def compile_engine(core: Core, optimize: str, folder: Path) -> list[Path]:
    """Compile the engine, but for the delegate, and return the object files."""
    objects = []
    for source in build.sources("arm"):
        if source.name != "delegate.cc":
            target = folder / f"{source.stem}.o"
            flags = [*core.flags, *COMMON, *CXX_FLAGS, optimize]
            command = ["arm-none-eabi-g++", *flags, "-c", str(source), "-o", str(target)]
            subprocess.run(command, check=True)
            objects.append(target)
    return objects


def link(core: Core, objects: list[Path], network: Path, folder: Path) -> tuple[Path, int]:
    """Link the program, and return it with the bytes that it takes in flash without the network."""
    script, data, program = (folder / name for name in ("link.ld", "network.s", "program.elf"))
    script.write_text(LINK.format(flash=core.flash, ram=core.ram, stack=STACK))
    data.write_text(NETWORK.format(path=network.resolve()))
    flags = [*core.flags, *COMMON, "-O2", f"-DTIMER_ADDRESS={core.timer:#x}"]
    libraries = ["--specs=rdimon.specs", "-nostartfiles", "-Wl,--gc-sections", "-lm"]
    sources = [str(HERE / "microcontroller.c"), str(data), *map(str, objects)]
    command = ["arm-none-eabi-gcc", *flags, *sources, f"-T{script}", *libraries]
    subprocess.run([*command, "-o", str(program)], check=True)
    sizes = subprocess.run(
        ["arm-none-eabi-size", str(program)], check=True, capture_output=True, text=True
    )
    text, constants = map(int, sizes.stdout.splitlines()[1].split()[:2])
    return program, text + constants - network.stat().st_size


def emulate(core: Core, program: Path) -> dict[str, int]:
    """Run the program, and return what it prints."""
    options = ["-nographic", "-semihosting", "-icount", "shift=0", "-kernel", str(program)]
    command = ["qemu-system-arm", "-M", core.machine, *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=1800)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines or "error" in lines[0]:
        raise SystemExit(f"{core.machine}: {done.stdout}{done.stderr}")
    found: dict[str, int] = json.loads(lines[0])
    return found


def expected_hash(network: Path) -> int:
    """Return the FNV-1a hash of what the engine gives here, for microcontroller.c's picture."""
    engine = Engine(network.read_bytes())
    shape = engine.inputs[0].shape
    picture = (np.arange(np.prod(shape)) * 37 % 251 - 125).astype(np.int8).reshape(shape)
    value = 2166136261
    for byte in engine.run([picture])[0].tobytes():
        value = (value ^ byte) * 16777619 % 2**32
    return value


def main() -> None:
    """Print the figures of each network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--core", choices=CORES, action="append", help="All where none is named.")
    parser.add_argument("--optimize", default="-O2", help="The compiler's flag.")
    arguments = parser.parse_args()
    for name in arguments.core or CORES:
        core = CORES[name]
        with tempfile.TemporaryDirectory() as scratch:
            objects = compile_engine(core, arguments.optimize, Path(scratch))
            for network in arguments.networks:
                program, code = link(core, objects, network, Path(scratch))
                found = emulate(core, program)
                if found["hash"] != expected_hash(network):
                    raise SystemExit(f"{name}: {network.name} gives other logits than here.")
                each = 1_000_000_000 / core.hertz  # instructions in a tick
                print(
                    f"{name}, {network.name}: flash {code:,} + {network.stat().st_size:,} bytes, "
                    f"RAM {found['heap']:,} bytes, open {found['open_ticks'] * each / 1e6:.1f} M "
                    f"and run {found['run_ticks'] * each / 1e6:.1f} M instructions; logits equal",
                    flush=True,
                )


if __name__ == "__main__":
    main()
