"""What MkDocs needs to know of this repository to make the documentation site of it.

Every file keeps its path in the repository, so that a link that works on GitHub works on the site
unchanged. Besides `docs/` the site has the files that its pages link to.
"""

import os
import re
import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

_LINK = re.compile(r"\]\(([^)#:\s]+)")
_NOTEBOOK_LINK = re.compile(r"\]\(([^)#:\s]+)\.ipynb\)")


def on_startup(**_: object) -> None:
    """Lay the package out as it is installed, where zoo/ and cli/ are subpackages.

    The reference is read from there (`paths` in mkdocs.yml, which must exist before the plugin
    is set up), without importing anything.
    """
    root = Path(__file__).resolve().parents[1]
    package = root / "build" / "package" / "larq_dense"
    shutil.rmtree(package, ignore_errors=True)
    for source, target in (("larq_dense", "."), ("zoo", "zoo"), ("cli", "cli")):
        for file in (root / source).rglob("*.py"):
            copy = package / target / file.relative_to(root / source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the files of the site."""
    root = Path(config.config_file_path).parent
    notebooks = sorted((root / "docs").glob("*.ipynb"))
    own = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    paths = _linked(root, ["README.md", *own]) - {f"docs/{path.name}" for path in notebooks}
    made = [File.generated(config, path, abs_src_path=str(root / path)) for path in sorted(paths)]
    for notebook in notebooks:
        made += _pages(notebook, config)
    of_the_theme = [file for file in files if file.src_dir != config.docs_dir]
    return Files([*of_the_theme, *made])


def on_page_markdown(markdown: str, **_: object) -> str:
    """Let links to notebooks lead to the pages that are made of them."""
    return _NOTEBOOK_LINK.sub(r"](\1.md)", markdown)


def _linked(root: Path, pages: list[str]) -> set[str]:
    """Return pages and, page by page, the files of the repository that they link to."""
    found = set(pages)
    unread = [*pages]
    while unread:
        path = unread.pop()
        if not path.endswith(".md"):
            continue
        for link in _LINK.findall((root / path).read_text(encoding="utf-8")):
            target = os.path.normpath(Path(path).parent / link)
            if target not in found and (root / target).is_file():
                found.add(target)
                unread.append(target)
    return found


def _pages(notebook: Path, config: MkDocsConfig) -> list[File]:
    """Make a page of a notebook, and files of the pictures that it stores."""
    body, resources = MarkdownExporter().from_filename(str(notebook))
    made: dict[str, str | bytes] = {f"{notebook.stem}.md": body, **resources["outputs"]}
    return [File.generated(config, f"docs/{name}", content=made[name]) for name in made]
