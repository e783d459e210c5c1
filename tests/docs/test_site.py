"""The documentation site: MkDocs finds nothing to complain of, and it needs no network."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="MkDocs comes with the extras [docs] and [test]")


def build(checkout: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=checkout,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(checkout, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Fetched(HTMLParser):
    """Gathers what a browser loads with a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        loads = tag in ("script", "img", "iframe") or values.get("rel") in ("stylesheet", "icon")
        address = values.get("src" if tag != "link" else "href")
        if loads and address:
            self.addresses.append(address)


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        fetched = Fetched()
        fetched.feed(page.read_text(encoding="utf-8"))
        assert fetched.addresses
        assert not [each for each in fetched.addresses if re.match(r"(https?:)?//", each)], page
        local = (each.partition("?")[0] for each in fetched.addresses if each[:5] != "data:")
        places = (
            (site if each.startswith("/") else page.parent) / each.lstrip("/") for each in local
        )
        assert not [place for place in places if not place.is_file()], page


def test_the_reference_describes_what_is_public(site: Path) -> None:
    text = (site / "docs" / "api" / "layers" / "index.html").read_text(encoding="utf-8")
    assert 'id="larq_dense.layers.ParallelConv2D"' in text
    assert "branches" in text


@pytest.mark.parametrize("link", ["docs/nowhere.md", "docs/data.md#nowhere"])
def test_a_dead_link_is_found(checkout: Path, tmp_path: Path, link: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("docs", "tools"):
        shutil.copytree(checkout / name, tree / name)
    shutil.rmtree(tree / "docs" / "api")
    for page in (tree / "docs").glob("*.md"):
        page.write_text(f"# {page.stem}\n")
    (tree / "docs" / "data.md").write_text("# Data\n")
    (tree / "README.md").write_text(f"# Start\n\n[more]({link})\n")
    settings = (checkout / "mkdocs.yml").read_text().partition("\nnav:")[0]
    (tree / "mkdocs.yml").write_text(settings)
    done = build(tree, tmp_path / "site")
    assert done.returncode != 0
    assert link.partition("#")[2] in done.stderr and "nowhere" in done.stderr
