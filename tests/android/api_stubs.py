"""Class files of what the Kotlin code calls of Android and other libraries, without bodies."""

import re
from pathlib import Path

from jvm import run

_CLASS = re.compile(r"package ([\w.]+); public (?:\w+ )*?(?:class|interface|enum) (\w+)")


def write_stubs(folder: Path) -> None:
    """Compile api_stubs.txt, which says what it is, to class files in `folder`."""
    sources = []
    for line in Path(__file__).with_name("api_stubs.txt").read_text().splitlines():
        if found := _CLASS.match(line):
            source = folder / found[1].replace(".", "/") / f"{found[2]}.java"
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(line)
            sources.append(source)
    run("javac", "-d", folder, *sources)
