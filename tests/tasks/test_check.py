"""What a check of a data set finds."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from larq_dense import tasks
from larq_dense.common.errors import DataError
from larq_dense.tasks.check import CheckReport, check
from larq_dense.tasks.folder import Folder
from larq_dense.tasks.sheet import contact_sheet

Make = Callable[..., Path]


def row(*values: int) -> NDArray[np.uint8]:
    """Return a mask of the test picture's size whose columns repeat these values."""
    return np.resize(np.array(values, np.uint8), (6, 8))


def report(root: Path, task: str | None = None, labels: str | None = None) -> CheckReport:
    return check(Folder.open(root, tasks.get(task) if task else None, labels))[0]


def test_a_sound_folder(plain_folder: Make) -> None:
    masks = {"a": row(0, 0, 0, 3), "b": row(0, 11), "c": row(3)}
    found = report(plain_folder("camvid", masks, train=["a", "b"], val=["c"]))
    assert found.problems == []
    assert (found.layout, found.encoding) == ("plain folder", "camvid")
    assert found.splits == {"train": 2, "val": 1}
    assert (found.frames, found.usable) == (3, 3)
    assert found.sizes == {"8 x 6": 3}
    shares = {share.name: share for share in found.classes}
    # 36 + 24 of 48 + 24 + 48 labelled pixels are sky.
    assert shares["sky"].share == pytest.approx(60 / 120)
    assert shares["sky"].images == 2
    assert shares["road"].share == pytest.approx(60 / 120)
    assert (shares["car"].share, shares["car"].images) == (0, 0)
    assert found.ignored == pytest.approx(24 / 144)


def test_a_task_reports_in_its_own_classes(plain_folder: Make) -> None:
    root = plain_folder("camvid", {"a": row(0, 0, 0, 3)})
    found = report(root, task="cityscapes")
    shares = {share.name: share.share for share in found.classes}
    assert shares == {"background": 0.75, "drivable": 0.25}


def test_everything_wrong_is_named(plain_folder: Make, write: Any, picture: Any) -> None:
    masks = {stem: row(0) for stem in ("good", "cut", "masked", "noise")}
    masks["range"] = row(0, 12)
    masks["size"] = np.zeros((5, 8), np.uint8)
    root = plain_folder("camvid", masks, train=["good", "gone", "good"], val=["good"], none=[""])
    write(root / "images/bare.png", picture)
    write(root / "masks/lone.png", row(0))
    cut = write(root / "images/cut.jpg", np.random.default_rng(0).integers(0, 256, (64, 64, 3)))
    (root / "images/cut.png").unlink()
    cut.write_bytes(cut.read_bytes()[:2000])
    (root / "masks/masked.png").write_bytes(b"no picture")
    write(root / "masks/noise.png", picture)
    found = report(root)
    messages = [problem.message for problem in found.problems]
    for part in (
        "the split 'none' is empty",
        "'good' is twice in 'train'",
        "'good' is in 'train' and in 'val'",
        "'gone' is in a list but has no image",
        "images/bare.png has no mask",
        "masks/lone.png has no image",
        "cut.jpg: image file is truncated",
        "masks/masked.png: it is no picture",
        "masks/noise.png has colours such as",
        "masks/range.png has the label 12",
        "masks/size.png is 8 x 5, but its image is 8 x 6",
        "show only 'sky'",
    ):
        assert any(part in message for message in messages), part
    assert len(messages) == 12
    assert (found.frames, found.usable) == (9, 1)


def test_labels_of_unknown_meaning_are_counted(plain_folder: Make) -> None:
    found = report(plain_folder("stuff", {"a": row(0, 7, 7, 255)}))
    assert found.encoding == "unknown"
    assert [(share.name, share.images) for share in found.classes] == [
        ("label 0", 1),
        ("label 7", 1),
    ]
    assert found.classes[1].share == pytest.approx(2 / 3)
    assert found.problems == []
    wrong = report(plain_folder("stuff", {"b": row(0, 12)}), labels="camvid")
    assert "has the label 12" in wrong.problems[0].message


def test_own_classes_are_used(plain_folder: Make) -> None:
    root = plain_folder("rooms", {"a": row(0, 1)})
    (root / "classes.yaml").write_text(
        "classes: [{name: floor, color: [0, 9, 0]}, {name: wall, color: [9, 0, 0]}]"
    )
    assert [share.name for share in report(root).classes] == ["floor", "wall"]


def test_published_data_with_unlabelled_split(tmp_path: Path, write: Any, picture: Any) -> None:
    for split, drive in (("train", "1"), ("test", "2")):
        write(tmp_path / f"leftImg8bit/{split}/{drive}/7_image.jpg", picture)
    write(tmp_path / "gtFine/train/1/7_label.png", row(0, 6))
    found = report(tmp_path)
    assert (found.layout, found.encoding) == ("IDD-Lite", "idd_lite")
    assert found.splits == {"test": 1, "train": 1}
    assert found.unlabelled == ["test"]
    assert (found.frames, found.usable) == (2, 1)
    assert found.problems == []


def test_an_empty_folder_is_not_sound(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert "not one picture" in report(tmp_path).problems[0].message


def test_a_folder_in_no_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no layout"):
        Folder.open(tmp_path)


def test_sheet_shows_colours_of_the_classes(plain_folder: Make) -> None:
    masks = {f"f{index:02}": row(3) for index in range(25)}
    data = Folder.open(plain_folder("camvid", masks))
    _, usable = check(data)
    few = contact_sheet(usable[:1], data.task)
    many = contact_sheet(usable, data.task)
    assert few.mode == many.mode == "RGB"
    assert few.width == many.width
    assert many.height > 4 * few.height / 2
    pixels = np.asarray(few).reshape(-1, 3)
    assert np.any(np.all(pixels == data.task.classes[3].color, axis=1))


OWN = """
classes:
  - {name: background, color: [0, 0, 0]}
  - {name: crack, color: [255, 80, 0]}
"""


def disc(background: int = 0, inside: int = 1) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:60, :80] - np.array([30, 40])[:, None, None]
    return np.where(rows**2 + columns**2 < 400, inside, background).astype(np.uint8)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Make a user's folder of three sound pictures, two to train and one to validate."""
    root = tmp_path / "mine"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for stem in "abc":
        pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"images/{stem}.jpg")
        Image.fromarray(disc()).save(root / f"masks/{stem}.png")
    (root / "classes.yaml").write_text(OWN)
    (root / "train.txt").write_text("a\nb\n")
    (root / "val.txt").write_text("c\n")
    return root


def save_masks(root: Path, picture: Image.Image, **options: Any) -> None:
    for stem in "abc":
        picture.save(root / f"masks/{stem}.png", **options)


def white_is_ignored(root: Path) -> None:
    save_masks(root, Image.fromarray(disc(inside=255)))


def one_bit_inverted_palette(root: Path) -> None:
    picture = Image.fromarray(disc()).convert("P")
    picture.putpalette([255, 80, 0, 0, 0, 0])
    save_masks(root, picture)


def alpha_channel(root: Path) -> None:
    black = Image.new("L", (80, 60))
    save_masks(root, Image.merge("LA", (black, Image.fromarray(disc(inside=255)))))


def smeared(root: Path) -> None:
    small = Image.fromarray(disc(inside=255)).resize((40, 30), Image.Resampling.BICUBIC)
    save_masks(root, small.resize((80, 60), Image.Resampling.BICUBIC))


def jpeg(root: Path) -> None:
    for stem in "abc":
        Image.fromarray(disc()).save(root / f"masks/{stem}.jpg")
        (root / f"masks/{stem}.png").unlink()


def turned_picture(root: Path, orientation: int = 3) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for path in (root / "images").iterdir():
        with Image.open(path) as picture:
            picture.save(path, exif=exif)


def turned_sideways(root: Path) -> None:
    turned_picture(root, 6)


def turned_mask(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    save_masks(root, Image.fromarray(disc()), exif=exif)


def two_endings(root: Path) -> None:
    Image.new("RGB", (80, 60)).save(root / "images/a.png")


def two_masks(root: Path) -> None:
    Image.fromarray(disc()).save(root / "masks/a.bmp")


def nothing_labelled(root: Path) -> None:
    save_masks(root, Image.fromarray(disc(255, 255)))


def one_class(root: Path) -> None:
    save_masks(root, Image.fromarray(disc(1, 1)))


def deep(root: Path) -> None:
    save_masks(root, Image.fromarray(disc(inside=1).astype(np.uint16) * 65535))


def coloured(root: Path) -> None:
    shown = np.array([(0, 0, 0), (255, 80, 0)], np.uint8)[disc()]
    save_masks(root, Image.fromarray(shown))


def raw(root: Path) -> None:
    (root / "images/d.cr2").write_bytes(b"II*\0")


def heic(root: Path) -> None:
    (root / "images/d.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")


def nested(root: Path) -> None:
    (root / "images/more").mkdir()


def empty_mask(root: Path) -> None:
    (root / "masks/a.png").write_bytes(b"")


def one_pixel(root: Path) -> None:
    Image.new("RGB", (1, 1)).save(root / "images/a.jpg")
    Image.new("L", (1, 1)).save(root / "masks/a.png")


def notes(root: Path) -> None:
    (root / "README.txt").write_text("These pictures\nare mine.\n")


def labels_instead_of_masks(root: Path) -> None:
    (root / "masks").rename(root / "labels")


def masks_are_a_file(root: Path) -> None:
    (root / "masks").rename(root / "elsewhere")
    (root / "masks").write_text("no folder")


def list_as_a_table(root: Path) -> None:
    (root / "train.txt").rename(root / "train.csv")


def list_is_a_folder(root: Path) -> None:
    (root / "val.txt").unlink()
    (root / "val.txt").mkdir()


def lists_in_a_folder(root: Path) -> None:
    (root / "ImageSets").mkdir()
    (root / "val.txt").rename(root / "ImageSets/val.txt")


def mask_of_another(root: Path) -> None:
    (root / "train.txt").write_text("images/a.jpg masks/b.png\nb\n")


def named_pipe(root: Path) -> None:
    os.mkfifo(root / "images/d.jpg")


@pytest.mark.parametrize(
    ("spoil", "kind", "culprit", "fix"),
    [
        (labels_instead_of_masks, "no folder of masks", "mine/masks", "labels/"),
        (masks_are_a_file, "no folder of masks", "mine/masks", "elsewhere/"),
        (list_as_a_table, "lists that are not read", "mine/train.csv", "such as train.txt"),
        (list_is_a_folder, "lists that are not read", "mine/val.txt", "such as train.txt"),
        (lists_in_a_folder, "lists that are not read", "ImageSets/val.txt", "move it to"),
        (mask_of_another, "names without a picture", "images/a.jpg masks/b.png", "own mask's"),
        (named_pipe, "files that are not read", "images/d.jpg", "move it elsewhere"),
        (white_is_ignored, "masks that teach nothing", "masks/a.png", "`value: 255`"),
        (alpha_channel, "labels in the alpha channel", "masks/a.png", "without alpha"),
        (one_bit_inverted_palette, "palette against classes.yaml", "masks/a.png", "masks: colors"),
        (smeared, "smeared masks", "masks/a.png", "without smoothing"),
        (jpeg, "masks in a lossy format", "masks/a.jpg", "as PNG"),
        (turned_picture, "orientation (EXIF) of picture and mask", "images/a.jpg", "turn the pix"),
        (turned_sideways, "orientation (EXIF) of picture and mask", "masks/a.png", "turn its pix"),
        (turned_mask, "orientation (EXIF) of picture and mask", "images/a.jpg", "turn the pixels"),
        (two_endings, "two files of one name", "images/a.png", "rename one"),
        (two_masks, "two files of one name", "masks/a.bmp", "rename one"),
        (nothing_labelled, "masks that teach nothing", "masks/a.png", "label more classes"),
        (one_class, "masks that teach nothing", "masks/a.png", "label more classes"),
        (deep, "values beyond 8 bits", "masks/a.png", "8-bit"),
        (coloured, "coloured masks", "masks/a.png", "masks: colors"),
        (raw, "files that are not read", "images/d.cr2", "convert it"),
        (heic, "damaged pictures", "images/d.heic", ""),
        (nested, "files that are not read", "images/more", "move its files up"),
        (empty_mask, "damaged masks", "masks/a.png", "replace or remove it"),
        (one_pixel, "pictures of a few pixels", "images/a.jpg", "replace it"),
        (notes, "lists of something else", "README.txt", "move it elsewhere"),
    ],
)
def test_what_teaches_nothing_is_named(
    own: Path, spoil: Callable[[Path], None], kind: str, culprit: str, fix: str
) -> None:
    assert report(own).problems == []
    spoil(own)
    found = [problem for problem in report(own).problems if problem.kind == kind]
    assert found
    assert any(culprit in problem.message and fix in problem.message for problem in found)


def test_a_mask_drawn_on_the_upright_picture_is_a_warning(own: Path) -> None:
    turned_picture(own, 6)
    save_masks(own, Image.fromarray(disc().T))
    found = report(own)
    assert found.problems == []
    assert {warning.kind for warning in found.warnings} == {
        "orientation (EXIF) of picture and mask"
    }


def test_a_class_in_no_picture_of_a_split_is_a_warning(own: Path) -> None:
    (own / "classes.yaml").write_text(OWN + "  - {name: root, color: [0, 90, 0]}\n")
    labels = disc()
    labels[:5] = 2
    Image.fromarray(labels).save(own / "masks/c.png")
    found = report(own)
    assert found.problems == []
    assert [(warning.kind, warning.file) for warning in found.warnings] == [
        ("classes without a picture", "train")
    ]
    assert "shows 'root'" in found.warnings[0].message


def test_a_black_and_white_mask_among_others_is_a_warning(own: Path) -> None:
    Image.fromarray(disc(inside=255)).save(own / "masks/b.png")
    found = report(own)
    assert found.problems == []
    assert [warning.kind for warning in found.warnings] == ["masks in black and white among others"]
    assert "masks/b.png" in found.warnings[0].message


def test_a_description_that_is_not_read_is_a_warning(own: Path) -> None:
    (own / "classes.yaml").rename(own / "labels.yaml")
    (warning,) = [each for each in report(own).warnings if each.kind == "files that are not read"]
    assert "labels.yaml is not read" in warning.message and "classes.yaml" in warning.message


def test_names_that_differ_in_capitals_only_are_a_warning(own: Path) -> None:
    for folder, suffix in (("images", "jpg"), ("masks", "png")):
        (own / f"{folder}/A.{suffix}").write_bytes((own / f"{folder}/a.{suffix}").read_bytes())
    found = report(own)
    assert found.problems == []
    assert {warning.kind for warning in found.warnings} == {"names that differ in capitals only"}


def pages(path: Path, *pictures: Image.Image) -> None:
    pictures[0].save(path, save_all=True, append_images=pictures[1:])


def animation(root: Path) -> None:
    (root / "images/a.jpg").unlink()
    noise = np.random.default_rng(1).integers(0, 256, (2, 60, 80), np.uint8)
    pages(root / "images/a.gif", *map(Image.fromarray, noise))


def mask_of_two_pages(root: Path) -> None:
    (root / "masks/a.png").unlink()
    pages(root / "masks/a.tif", Image.fromarray(disc()), Image.fromarray(disc()))


def black(root: Path) -> None:
    Image.new("RGB", (80, 60)).save(root / "images/b.jpg")


@pytest.mark.parametrize(
    ("spoil", "kind", "culprit"),
    [
        (animation, "files of several pictures", "images/a.gif"),
        (mask_of_two_pages, "files of several pictures", "masks/a.tif"),
        (black, "pictures of one colour", "images/b.jpg"),
    ],
)
def test_what_is_seldom_meant_is_a_warning(
    own: Path, spoil: Callable[[Path], None], kind: str, culprit: str
) -> None:
    spoil(own)
    found = report(own)
    assert found.problems == [] and found.usable == 3
    (warning,) = found.warnings
    assert warning.kind == kind and culprit in warning.message


def test_systems_files_are_passed_over(own: Path) -> None:
    for name in ("images/._a.jpg", "masks/._a.png", "._train.txt", "images/.DS_Store"):
        (own / name).write_bytes(b"\0\5\x16\7")
    (own / "images/Thumbs.db").write_bytes(b"x")
    found = report(own)
    assert (found.problems, found.warnings, found.frames) == ([], [], 3)


SOUND = {"00_sound", "07_appledouble", "08_endings", "08_two_columns", "10_nfd"}
SPOILED = {"01_0_255", "02_alpha", "03_palette", "06_two_endings"}


@pytest.mark.parametrize("name", sorted(SOUND | SPOILED))
def test_cases_that_people_met(shared_cases: Path, name: str) -> None:
    found = report(shared_cases / name)
    assert bool(found.problems) == (name in SPOILED)
    if name in SOUND:
        assert (found.splits, found.usable) == ({"train": 2, "val": 1}, 3)
