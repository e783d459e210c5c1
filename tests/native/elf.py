"""Reads of a 64-bit, little-endian ELF file what Android's loader looks at."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

MACHINES = {62: "x86_64", 183: "aarch64"}
SHARED_OBJECT = 3
LOAD, THREAD_LOCAL, STACK = 1, 7, 0x6474E551
EXECUTABLE, WRITABLE = 1, 2
_DYNAMIC_SECTION, _DYNAMIC_SYMBOLS = 6, 11
_NEEDED, _SONAME, _TEXTREL, _FLAGS = 1, 14, 22, 30
_FLAG_TEXTREL = 4
_WEAK = 2


@dataclass(frozen=True)
class Segment:
    """A program header: its type, its rights and the alignment of its address."""

    kind: int
    flags: int
    alignment: int


@dataclass(frozen=True)
class Elf:
    """A shared library as the loader sees it."""

    machine: str
    kind: int
    segments: list[Segment]
    soname: str | None
    needed: list[str]
    text_relocations: bool
    exported: set[str]
    undefined: set[str]

    @classmethod
    def read(cls, path: Path) -> Elf:
        """Read a file."""
        data = path.read_bytes()
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is not a 64-bit, little-endian ELF file")
        kind, machine = struct.unpack_from("<HH", data, 16)
        segments_at, sections_at = struct.unpack_from("<QQ", data, 32)
        _, segment_count, _, section_count = struct.unpack_from("<HHHH", data, 54)
        sections = [
            struct.unpack_from("<IIQQQQII", data, sections_at + 64 * i)
            for i in range(section_count)
        ]

        def entries(section_type: int, layout: str) -> list[tuple[str, tuple[int, ...]]]:
            """Return the entries of a section, each with the string that its offset would name."""
            found = []
            for _, of_type, _, _, start, size, link, _ in sections:
                if of_type == section_type:
                    strings = sections[link][4]
                    for fields in struct.iter_unpack(layout, data[start : start + size]):
                        name_at = strings + fields[1 if section_type == _DYNAMIC_SECTION else 0]
                        name = data[name_at : data.find(b"\0", name_at)]
                        found.append((name.decode("latin-1"), fields))
            return found

        dynamic = entries(_DYNAMIC_SECTION, "<QQ")
        symbols = [s for s in entries(_DYNAMIC_SYMBOLS, "<IBBHQQ") if s[0]]
        return cls(
            machine=MACHINES.get(machine, str(machine)),
            kind=kind,
            segments=[
                Segment(*struct.unpack_from("<II40xQ", data, segments_at + 56 * i))
                for i in range(segment_count)
            ],
            soname=next((name for name, (tag, _) in dynamic if tag == _SONAME), None),
            needed=[name for name, (tag, _) in dynamic if tag == _NEEDED],
            text_relocations=any(
                tag == _TEXTREL or (tag == _FLAGS and value & _FLAG_TEXTREL)
                for _, (tag, value) in dynamic
            ),
            exported={name for name, fields in symbols if fields[3] != 0},
            undefined={name for name, fields in symbols if fields[3] == 0},
        )
