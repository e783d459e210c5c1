import re
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient
from waiting_model import small_spec

from larq_dense.runtime import Predictor
from larq_dense.serving import Limits, create_app
from larq_dense.serving.page import page_files


class Page(HTMLParser):
    """Collects the elements of a page, and the text within each label."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {**dict(attrs), "within": " ".join(self.open)}))
        if tag not in ("meta", "link", "img", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page() -> Page:
    page = Page()
    page.feed(page_files(small_spec())["/"][1].decode())
    assert not page.open
    return page


def test_everything_is_named_for_those_who_do_not_see_it(page: Page) -> None:
    elements = dict(page.elements)
    assert elements["html"]["lang"] == "en"
    assert elements["p"]["role"] == "status"
    assert {"main", "h1", "title", "fieldset", "legend"} <= elements.keys()
    fields = [values for tag, values in page.elements if tag == "input"]
    assert len(fields) == 4 and all("label" in (each["within"] or "").split() for each in fields)
    assert all("alt" in values for tag, values in page.elements if tag == "img")


def test_nothing_comes_from_elsewhere(page: Page) -> None:
    files = page_files(small_spec())
    addresses = [
        values[name]
        for _, values in page.elements
        for name in ("src", "href", "action")
        if values.get(name)
    ]
    assert {f"/{each}" for each in addresses} == files.keys() - {"/"}
    for path, (_, content) in files.items():
        assert not re.search(rb"(https?:)?//(?!\s)\w", content), path
        assert not re.search(rb"@import|url\(|\bstyle=|\bon\w+=", content), path


def test_names_of_classes_are_shown_and_are_no_markup() -> None:
    text = page_files(small_spec())["/"][1].decode()
    assert "&lt;b&gt;road&lt;/b&gt;" in text and "<b>" not in text
    assert "Random &lt;weights&gt;." in text
    assert "sky" not in text, "a class without colour is not in the legend"
    assert (
        b".color-1 { background: rgb(128, 64, 128); }" in page_files(small_spec())["/page.css"][1]
    )


def test_the_page_is_served_with_a_policy(slow: Predictor) -> None:
    with TestClient(create_app([slow], Limits())) as client:
        for path, (media_type, content) in page_files(slow.spec).items():
            answer = client.get(path)
            assert answer.content == content
            assert answer.headers["content-type"].startswith(media_type)
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["x-content-type-options"] == "nosniff"
