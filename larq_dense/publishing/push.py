"""From an entry or a run to the Hugging Face Hub."""

import fnmatch
import shutil
import tempfile
from pathlib import Path

from larq_dense.common.files import write_text
from larq_dense.publishing.publish import pack
from larq_dense.zoo.entries import Entry, find_trained
from larq_dense.zoo.hub import files_of, parse, talking_to_hub

README = "README.md"

# What the hub reads of a model's page, between lines of dashes.
_METADATA = """\
---
library_name: larq-dense
pipeline_tag: image-segmentation
tags:
- larq-dense
- binary-neural-network
---
"""


def push(source: str, address: str, private: bool = False) -> str:
    """Share an entry, or a run's best weights, on the Hugging Face Hub.

    Weights, converted files, recipes, metrics and the card go there, each with its SHA-256 where it
    is one of the first two; plots and what else the folder holds stay here. What an earlier push
    left there is replaced. Who may write is the hub's business: `hf auth login`.

    Args:
        source: An entry's name, or the folder of an entry or of a run. A run is packed, converted
            and not measured, which needs the extra `[tensorflow]`.
        address: `hf://OWNER/NAME`, or `hf://OWNER/NAME@BRANCH` for a branch that there is.
        private: Whether a new repository is for its owner only.

    Returns:
        The address of what was pushed, with its commit.

    Raises:
        LarqDenseError: There is no such source, it cannot be packed, or the hub refuses.
    """
    repo, revision = parse(address)
    run = find_trained(source)
    with tempfile.TemporaryDirectory() as staging:
        entry = run if isinstance(run, Entry) else pack(run, Path(staging) / "packed")
        folder = Path(staging) / "pushed"
        _copy(entry, folder)
        write_text(folder / README, _METADATA + _page(entry, address))
        with talking_to_hub(address) as hub:
            api = hub.HfApi()
            api.create_repo(repo, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                revision=revision,
                commit_message=f"Push {entry.name} by larq-dense",
                delete_patterns=[*files_of("*"), README],
            )
    return f"hf://{repo}@{commit.oid[:12]}"


def _copy(entry: Entry, folder: Path) -> None:
    """Copy what is kept on the hub, after a look at its digests.

    Raises:
        WeightsError: A file is missing, or has another SHA-256.
    """
    for part, is_int8 in ((entry, False), (entry.int8(), True)):
        if part.is_published:
            part.weights()
            entry.tflite(is_int8)
    patterns = files_of(entry.name)
    for path in entry.folder.rglob("*"):
        name = path.relative_to(entry.folder).as_posix()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _page(entry: Entry, address: str) -> str:
    """Return the text of the model's page: the card, without the plots that stay here."""
    usage = f"""
```python
import larq_dense

larq_dense.load("{address}").labels("photo.jpg")  # uint8 [height, width]
```
"""
    if not entry.card_file.is_file():
        return f"\n# {entry.name}\n\n{entry.notice}\n{usage}"
    lines = entry.card().splitlines(keepends=True)
    return usage + "\n" + "".join(line for line in lines if not line.startswith("!["))
