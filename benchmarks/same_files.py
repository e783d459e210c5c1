"""Converts every entry again and compares the bytes with those of the file that it ships.

    python benchmarks/same_files.py

Run it in an environment of another TensorFlow, on another processor.
"""

import sys

from larq_dense import zoo
from larq_dense.common.machine import describe_machine
from larq_dense.conversion import convert


def main() -> None:
    """Print a line a file; end with 1 if one differs."""
    machine = describe_machine()
    print(f"TensorFlow {machine['tensorflow']}, {machine['cpu']}")
    differing = 0
    for name in zoo.list_entries():
        models = {False: zoo.load(name), True: zoo.load(name, precision="int8")}
        for int8, model in models.items():
            shipped = zoo.find(name).tflite(int8)
            same = convert(model).content == shipped.read_bytes()
            differing += not same
            print(f"{shipped.name}: {'the same bytes' if same else 'OTHER BYTES'}", flush=True)
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
