"""Lists and file names as people and systems write them."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from larq_dense import tasks
from larq_dense.common.errors import DataError
from larq_dense.tasks.names import read_lines

Make = Callable[..., Path]
MASK = np.resize(np.array([0, 255], np.uint8), (6, 8))


def stems(root: Path, split: str = "train") -> list[str]:
    return [sample.stem for sample in tasks.get("ecssd").samples(root, split)]


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a.png",
        "a.jpg",
        "images/a.png",
        "./images/a.png",
        "/home/someone/people/images/a.png",
        "C:\\Users\\someone\\people\\images\\a.png",
        "images\\a.png",
        '"a.png"',
        "'images/a.png'",
        "  a\t",
        "a.png  ",
        "A.PNG",
        "images/a.png masks/a.png",
        "images/a.png\tmasks/a.png",
        "images/a.png,masks/a.png",
        "a.png; a.png",
        '"images/a.png","masks/a.png"',
        "C:\\people\\images\\a.png C:\\people\\masks\\a.png",
    ],
)
def test_a_line_may_be_written_in_many_ways(plain_folder: Make, line: str) -> None:
    root = plain_folder("people", {"a": MASK, "b": MASK}, train=[line, "b"])
    samples = tasks.get("ecssd").samples(root, "train")
    assert [(each.image.name, each.mask and each.mask.name) for each in samples] == [
        ("a.png", "a.png"),
        ("b.png", "b.png"),
    ]


@pytest.mark.parametrize("stem", ["my photo", "a,b", "#1", "a.b.c", "[x]", "it's", "100%", "a;b"])
def test_names_with_marks(plain_folder: Make, stem: str) -> None:
    lists = {"train": [stem], "two": [f"images/{stem}.png masks/{stem}.png"]}
    root = plain_folder("people", {stem: MASK}, **lists)
    assert stems(root) == stems(root, "two") == stems(root, "all") == [stem]


@pytest.mark.parametrize(
    "line",
    ["a b", "a, b", "a;b", "images/a.png masks/b.png", "masks/b.png images/a.png", "a.png 0"],
)
def test_a_line_of_two_pictures_is_none(plain_folder: Make, line: str) -> None:
    root = plain_folder("people", {"a": MASK, "b": MASK}, train=[line])
    with pytest.raises(DataError, match=r"has no image for .* of its split 'train'|has no mask"):
        stems(root)


def test_a_line_may_name_a_mask_of_another_name(plain_folder: Make) -> None:
    root = plain_folder("people", {"a": MASK}, train=["images/a.png masks/a_mask.png"])
    (root / "masks/a.png").rename(root / "masks/a_mask.png")
    (sample,) = tasks.get("ecssd").samples(root, "train")
    assert sample.mask == root / "masks/a_mask.png"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_editors_write_lists(plain_folder: Make, encoding: str, end: str) -> None:
    root = plain_folder("people", {"café": MASK, "b": MASK})
    text = end.join(["", "# my list", "café", "", "b", ""])
    (root / "train.txt").write_bytes(text.encode(encoding))
    assert stems(root) == ["café", "b"]


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("listed", ["NFC", "NFD"])
@pytest.mark.parametrize("mask", ["NFC", "NFD"])
def test_unicode_is_matched_in_any_form(
    plain_folder: Make, on_disk: Any, listed: Any, mask: Any
) -> None:
    name = "Ä é ñ 한"
    root = plain_folder("people", {"a": MASK}, train=[unicodedata.normalize(listed, name)])
    (root / "images/a.png").rename(root / f"images/{unicodedata.normalize(on_disk, name)}.png")
    (root / "masks/a.png").rename(root / f"masks/{unicodedata.normalize(mask, name)}.png")
    assert stems(root) == stems(root, "all") == [unicodedata.normalize("NFC", name)]


def test_bytes_that_are_no_utf8_are_matched(plain_folder: Make) -> None:
    root = plain_folder("people", {"a": MASK})
    (root / "train.txt").write_bytes(b"caf\xe9\n")
    for folder in ("images", "masks"):
        file = root / folder / b"caf\xe9.png".decode("utf-8", "surrogateescape")
        (root / folder / "a.png").rename(file)
    (sample,) = tasks.get("ecssd").samples(root, "train")
    assert sample.image.exists()
    sample.mask and sample.mask.unlink()
    with pytest.raises(DataError, match=r"caf\\udce9\.png has no mask") as caught:
        tasks.get("ecssd").samples(root, "train")
    str(caught.value).encode()


def test_a_name_of_any_length_is_a_sentence(plain_folder: Make) -> None:
    root = plain_folder("people", {"a": MASK}, train=["x" * 5000])
    with pytest.raises(DataError, match="has no image for"):
        stems(root)


def test_two_pictures_of_one_name_are_refused_unless_the_list_tells(plain_folder: Make) -> None:
    root = plain_folder("people", {"a": MASK}, train=["a"], told=["a.jpg"])
    Image.new("RGB", (8, 6)).save(root / "images/a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg and .*a\.png have one name"):
        stems(root)
    (sample,) = tasks.get("ecssd").samples(root, "told")
    assert sample.image == root / "images/a.jpg"


def test_capitals_are_told_apart_where_the_folder_does(plain_folder: Make) -> None:
    root = plain_folder("people", {"a": MASK, "A": MASK}, train=["a", "A"])
    assert stems(root) == ["a", "A"]


def test_blanks_and_quotes_are_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text('\ufeff a \n\u201cb c\u201d\n\'d\n\n"e" "f"\n', encoding="utf-8")
    assert read_lines(path) == ["a", "b c", "'d", "", '"e" "f"', ""]
