"""The page that a person drops a picture on; it needs nothing from elsewhere."""

import html
from pathlib import Path
from string import Template

from larq_dense.runtime import ModelSpec

_FOLDER = Path(__file__).parent


def page_files(spec: ModelSpec) -> dict[str, tuple[str, bytes]]:
    """Return the page's files.

    Args:
        spec: What the model is for.

    Returns:
        Path → media type and content.
    """
    page = Template((_FOLDER / "page.html").read_text(encoding="utf-8"))
    notice = spec.description[:1].upper() + spec.description[1:]
    text = page.substitute(
        model=html.escape(spec.name), legend=_legend(spec), notice=html.escape(notice)
    )
    return {
        "/": ("text/html", text.encode()),
        "/page.css": ("text/css", (_FOLDER / "page.css").read_bytes() + _colors(spec)),
        "/page.js": ("text/javascript", (_FOLDER / "page.js").read_bytes()),
    }


def _legend(spec: ModelSpec) -> str:
    return "\n".join(
        f'<li><span class="color color-{index}"></span>{html.escape(each.name)}</li>'
        for index, each in enumerate(spec.classes)
        if any(each.color)
    )


def _colors(spec: ModelSpec) -> bytes:
    # Not as attributes, which the page's policy forbids.
    lines = [
        f".color-{index} {{ background: rgb({', '.join(map(str, each.color))}); }}"
        for index, each in enumerate(spec.classes)
    ]
    return "\n".join(["", *lines, ""]).encode()
