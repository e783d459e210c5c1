"""An entry's converted file, kept next to its weights with its SHA-256."""

from larq_dense.common.files import sha256, write_bytes, write_text
from larq_dense.zoo.entries import Entry, file_name


def keep_file(entry: Entry, content: bytes) -> None:
    """Write an entry's converted file into its folder, and its SHA-256 next to that of the weights.

    Args:
        entry: Holds a recipe, packed weights and their SHA-256; an entry or an int8 variant.
        content: What `conversion.convert` makes of it.
    """
    path = entry.folder / file_name(entry.name, entry.recipe().quantize)
    checksums = entry.checksum_file
    others = [
        line
        for line in checksums.read_text(encoding="utf-8").splitlines()
        if not line.endswith(path.name)
    ]
    write_bytes(path, content)
    # In the form that `sha256sum --check` reads.
    lines = [*others, f"{sha256(content)}  {path.name}"]
    write_text(checksums, "".join(f"{line}\n" for line in lines))


def renew_files(entry: Entry) -> None:
    """Convert an entry, and its int8 variant where there is one, and keep the files.

    Raises:
        LarqDenseError: The weights are not what they should be, or the conversion fails its audit.
    """
    from larq_dense import zoo
    from larq_dense.conversion import convert

    keep_file(entry, convert(zoo.load(entry.folder)).content)
    if entry.int8().is_published:
        keep_file(entry.int8(), convert(zoo.load(entry.folder, precision="int8")).content)
