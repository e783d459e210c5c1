"""Polygons of COCO and labelme become masks, against pixels counted by hand and pycocotools."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from larq_dense import tasks
from larq_dense.cli import main
from larq_dense.common.errors import DataError
from larq_dense.tasks.check import check
from larq_dense.tasks.folder import Folder
from larq_dense.tasks.importing import import_polygons

# Width 20, height 12: a square of 6x6 pixels, and a smaller one of 2x2 on it.
SQUARE = [2.0, 3.0, 8.0, 3.0, 8.0, 9.0, 2.0, 9.0]
SMALL = [4.0, 5.0, 6.0, 5.0, 6.0, 7.0, 4.0, 7.0]


def pictures(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (20, 12), "gray").save(folder / name)
    return folder


def coco(folder: Path, annotations: list[dict[str, Any]]) -> Path:
    pictures(folder / "images", "a.jpg", "b.jpg")
    images = [
        {"id": number, "file_name": f"{name}.jpg", "height": 12, "width": 20}
        for number, name in enumerate("ab")
    ]
    categories = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def shape(category: int, area: float, segmentation: Any, image: int = 0) -> dict[str, Any]:
    return {
        "image_id": image,
        "category_id": category,
        "area": area,
        "segmentation": segmentation,
        "iscrowd": 0,
    }


def test_coco_polygons(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    shapes = [shape(3, 4, [SMALL]), shape(7, 36, [SQUARE]), shape(3, 9, [], image=1)]
    found = import_polygons(coco(tmp_path, shapes), tmp_path / "out", validation=0)
    assert found.classes == ("background", "cat", "dog")
    assert found.splits == {"train": 2, "val": 0}
    mask = np.asarray(Image.open(tmp_path / "out/masks/a.png"))
    expected = np.zeros((12, 20), np.uint8)
    expected[3:9, 2:8] = 1
    expected[5:7, 4:6] = 2
    np.testing.assert_array_equal(mask, expected)
    report, _ = check(Folder.open(tmp_path / "out"))
    assert report.problems == []
    assert (tmp_path / "out/images/a.jpg").read_bytes() == (tmp_path / "images/a.jpg").read_bytes()


@pytest.mark.parametrize("compressed", [False, True])
def test_coco_runs(tmp_path: Path, compressed: bool) -> None:
    library = pytest.importorskip("pycocotools.mask")
    pixels = np.zeros((12, 20), np.uint8)
    pixels[1:4, 5:9] = 1
    runs = library.encode(np.asfortranarray(pixels))
    counts: Any = runs["counts"].decode()
    if not compressed:
        flat = pixels.ravel(order="F")
        edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]])))
        counts = np.diff(np.concatenate([[0], edges])).tolist()
    source = coco(tmp_path, [shape(7, 12, {"size": [12, 20], "counts": counts})])
    import_polygons(source, tmp_path / "out")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/masks/a.png")), pixels)


def labelme(folder: Path, shapes: list[dict[str, Any]], name: str = "a.jpg") -> Path:
    pictures(folder, name)
    content = {"imagePath": f"..\\x\\{name}", "imageHeight": 12, "imageWidth": 20, "shapes": shapes}
    (folder / "a.json").write_text(json.dumps(content))
    return folder


def points(flat: list[float]) -> list[list[float]]:
    return [list(point) for point in zip(flat[::2], flat[1::2], strict=True)]


def test_labelme_shapes(tmp_path: Path) -> None:
    shapes = [
        {"label": "wall", "points": points(SQUARE), "shape_type": "polygon"},
        {"label": "door", "points": [[4, 5], [6, 7]], "shape_type": "rectangle"},
        {"label": "__ignore__", "points": [[15, 6], [15, 8]], "shape_type": "circle"},
    ]
    folder = labelme(tmp_path / "labels", shapes)
    (folder / "._a.json").write_bytes(b"\0")
    result = CliRunner().invoke(
        main, ["data", "import", str(folder), "--output", str(tmp_path / "out"), "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["classes"] == ["background", "door", "wall"]
    mask = np.asarray(Image.open(tmp_path / "out/masks/a.png"))
    expected = np.zeros((12, 20), np.uint8)
    expected[3:10, 2:9] = 2  # labelme's outlines belong to the shape.
    expected[5:8, 4:7] = 1
    np.testing.assert_array_equal(mask[:, :10], expected[:, :10])
    assert set(np.unique(mask[:, 10:])) == {0, 255}
    assert tasks.from_folder(tmp_path / "out").class_names == ("background", "door", "wall")


@pytest.mark.parametrize("drawn_on", ["seen", "stored"])
def test_a_turned_photograph(tmp_path: Path, drawn_on: str) -> None:
    shapes = [{"label": "x", "points": [[0, 0], [2, 0], [2, 2], [0, 2]]}]
    folder = labelme(tmp_path / "labels", shapes)
    exif = Image.Exif()
    exif[0x0112] = 6  # The first stored row is the right side of what is seen.
    size = (12, 20) if drawn_on == "seen" else (20, 12)
    Image.new("RGB", (size[1], size[0]) if drawn_on == "seen" else size).save(
        folder / "a.jpg", exif=exif
    )
    content = json.loads((folder / "a.json").read_text())
    content |= {"imageWidth": size[0], "imageHeight": size[1]}
    (folder / "a.json").write_text(json.dumps(content))
    import_polygons(folder, tmp_path / "out")
    mask = np.asarray(Image.open(tmp_path / "out/masks/a.png"))
    assert mask.shape == (20, 12)
    rows, columns = np.nonzero(mask)
    assert rows.min() == 0
    assert (columns.min() == 0) == (drawn_on == "seen")
    assert (columns.max() == 11) == (drawn_on == "stored")


def test_pictures_are_split_by_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    shapes = [{"label": "x", "points": points(SQUARE)}]
    for number in range(40):
        labelme(folder, shapes, f"p{number}.jpg")
        (folder / "a.json").rename(folder / f"p{number}.json")
    found = import_polygons(folder, tmp_path / "out", validation=0.25)
    assert sum(found.splits.values()) == 40
    assert 3 <= found.splits["val"] <= 18
    again = import_polygons(folder, tmp_path / "again", validation=0.25)
    assert again.splits == found.splits
    content = yaml.safe_load((tmp_path / "out/classes.yaml").read_text())
    assert content["classes"][0] == {"name": "background", "color": [0, 0, 0]}


@pytest.mark.parametrize("validation", [0.001, 0.999])
def test_of_a_few_pictures_each_split_gets_one(tmp_path: Path, validation: float) -> None:
    folder = tmp_path / "labels"
    for number in range(3):
        labelme(folder, [{"label": "x", "points": points(SQUARE)}], f"p{number}.jpg")
        (folder / "a.json").rename(folder / f"p{number}.json")
    found = import_polygons(folder, tmp_path / "out", validation=validation)
    assert sorted(found.splits.values()) == [1, 2]
    assert (tmp_path / "out/val.txt").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"imagePath": "gone.jpg"}, "names 'gone.jpg', and .* has no picture of that name"),
        ({"imageHeight": 99}, "are for 20 x 99 pixels, but the picture has 20 x 12"),
        ({"shapes": [{"label": "x", "points": [[1, 1]]}]}, "a polygon of 1 points for 'x'"),
        ({"shapes": [{"label": "x", "points": [[1, 1]], "shape_type": "line"}]}, "a line of 1"),
        ({"shapes": [{"label": "x", "points": "no"}]}, "is no file of labelme: shapes.0.points"),
        ({"shapes": []}, "has 0 classes"),
        (
            {"shapes": [{"label": "background", "points": points(SQUARE)}]},
            "has 0 classes besides the background",
        ),
        ({"shapes": [{"label": "x", "points": [[1, float("nan")]]}]}, "shapes.0.points"),
    ],
)
def test_wrong_files_are_sentences(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = labelme(tmp_path / "labels", [{"label": "x", "points": points(SQUARE)}])
    content = json.loads((folder / "a.json").read_text()) | change
    (folder / "a.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        import_polygons(folder, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels"]


def test_wrong_places_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        import_polygons(tmp_path / "gone.json", tmp_path / "out")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        import_polygons(tmp_path / "a.json", tmp_path / "out")
    with pytest.raises(DataError, match="is there already"):
        import_polygons(tmp_path / "a.json", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \.json file"):
        import_polygons(tmp_path / "empty", tmp_path / "out")


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([[1, 2, 3]], "three points or more"),
        ([[1, 1, 5, 5]], "three points or more"),
        ([[*SMALL, 4]], "three points or more"),
        ({"counts": [240]}, "'size'"),
        ({"counts": [240], "size": [3, 4]}, "not the picture's"),
        ({"counts": [5, 5], "size": [12, 20]}, "do not add up"),
        ({"counts": "04", "size": [3, 4]}, "not the picture's"),
        ({"counts": "", "size": [12, 20]}, "do not add up"),
        ({"counts": "04", "size": [12, 20]}, "do not add up"),
        ({"counts": "o", "size": [12, 20]}, "break off"),
        ({"counts": "\0", "size": [12, 20]}, "means no run"),
        ({"counts": "O`8", "size": [12, 20]}, "no whole numbers"),
        ({"counts": [2**40, 240 - 2**40], "size": [12, 20]}, "no whole numbers"),
        ({"counts": [0.5, 239.5], "size": [12, 20]}, "no whole numbers"),
    ],
)
def test_a_shape_that_cannot_be_drawn_is_a_sentence(
    tmp_path: Path, segmentation: Any, reason: str
) -> None:
    pytest.importorskip("pycocotools")
    source = coco(tmp_path, [shape(3, 4, segmentation)])
    with pytest.raises(DataError, match=f"a shape of 'dog' on a.jpg.*{reason}"):
        import_polygons(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("far", [2e9, -1e300, float("inf"), float("nan")])
def test_a_point_that_the_library_crashes_on_is_a_sentence(tmp_path: Path, far: float) -> None:
    source = coco(tmp_path, [shape(3, 4, [[far, 0, 0, 5, 9, 9]])])
    with pytest.raises(DataError, match=r"instances\.json is no file of COCO instances"):
        import_polygons(source, tmp_path / "out")
    edge = {"label": "x", "shape_type": "circle", "points": [[0, 0], [far, far]]}
    with pytest.raises(DataError, match=r"a\.json is no file of labelme"):
        import_polygons(labelme(tmp_path / "labels", [edge]), tmp_path / "out")


def test_a_drawing_larger_than_any_memory_is_a_sentence(tmp_path: Path) -> None:
    source = coco(tmp_path, [shape(3, 4, [SMALL])])
    content = json.loads(source.read_text())
    content["images"][0] |= {"height": 10**30, "width": 10**9}
    source.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"but the picture has 20 x 12; use the pictures"):
        import_polygons(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("annotations", [[], [shape(3, 4, [])]])
def test_a_file_without_outlines_is_a_sentence(tmp_path: Path, annotations: Any) -> None:
    with pytest.raises(DataError, match="holds no outline"):
        import_polygons(coco(tmp_path, annotations), tmp_path / "out")


def test_one_picture_twice_is_a_sentence(tmp_path: Path) -> None:
    source = coco(tmp_path, [shape(3, 4, [SMALL])])
    content = json.loads(source.read_text())
    content["images"][1]["file_name"] = "a.jpg"
    source.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"a\.jpg is there twice"):
        import_polygons(source, tmp_path / "out")
    content["images"][1]["id"] = 0
    source.write_text(json.dumps(content))
    with pytest.raises(DataError, match="several images of one id"):
        import_polygons(source, tmp_path / "out")


def test_what_an_import_leaves_out_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("pycocotools")
    far = [900.0, 900.0, 990.0, 900.0, 990.0, 990.0]
    shapes = [shape(3, 4, [SMALL]), shape(7, 9, []), shape(7, 9, [far])]
    import_polygons(coco(tmp_path, shapes), tmp_path / "out")
    assert "1 shapes are boxes" in caplog.text and "covers no pixel of a.jpg" in caplog.text
    folder = labelme(tmp_path / "labels", [{"label": "x", "points": points(SQUARE)}])
    (folder / "a.json").rename(folder / "a.JSON")
    pictures(folder, "alone.jpg")
    import_polygons(folder, tmp_path / "again")
    assert "1 pictures have no .json file, such as alone" in caplog.text
