"""Plain folders: lists, label encodings, one's own classes and joined sources."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from larq_dense import tasks
from larq_dense.common.errors import DataError, UnknownNameError
from larq_dense.common.images import read_image
from larq_dense.tasks import data_sets
from larq_dense.tasks.folder import Folder

Make = Callable[..., Path]


def row(*values: int) -> NDArray[np.uint8]:
    """Return a mask of the test picture's size whose columns repeat these values."""
    return np.resize(np.array(values, np.uint8), (6, 8))


def labels_of(task: tasks.Task, root: Path, split: str = "all", **options: Any) -> list[list[int]]:
    """Return the distinct class ids of each frame, in the order of the frames."""
    samples = task.samples(root, split, **options)
    return [np.unique(task.read_label(sample)).tolist() for sample in samples]


def meanings_of_cityscapes(name: str, plain_folder: Make) -> dict[str, str]:
    """Return the class of a task that each of Cityscapes' 19 classes means, void ignored."""
    task, nineteen = tasks.get(name), tasks.get("cityscapes19")
    root = plain_folder("street", {"a": row(*range(19), 255)})
    (sample,) = task.samples(root, "all", labels="cityscapes_train_ids")
    *found, ignored = task.read_label(sample).flat[:20]
    assert ignored == 255
    read = zip(nineteen.class_names, found, strict=True)
    return {theirs: task.class_names[value] for theirs, value in read}


def test_lists_give_the_frames_in_their_order(plain_folder: Make) -> None:
    masks = {stem: row(0, 255) for stem in "abcd"}
    root = plain_folder("people", masks, train=["c", "", " a "], chosen=["a", "d"])
    task = tasks.get("ecssd")
    assert [sample.stem for sample in task.samples(root, "train")] == ["c", "a"]
    assert [sample.stem for sample in task.samples(str(root), "all")] == list("abcd")
    within = task.samples(root, "train", within="chosen")
    assert [sample.stem for sample in within] == ["a"]


def test_wrong_lists_are_said(plain_folder: Make) -> None:
    root = plain_folder("people", {"a": row(0)}, train=["a"], other=["b"], none=[""])
    task = tasks.get("ecssd")
    with pytest.raises(DataError, match="no split 'val'; it has none, other, train, all"):
        task.samples(root, "val")
    with pytest.raises(DataError, match=r"the split 'none' of .* is empty"):
        task.samples(root, "none")
    with pytest.raises(DataError, match="no image for 'b' of its split 'other'"):
        task.samples(root, "other")
    with pytest.raises(DataError, match=r"within 'other' of .* is empty"):
        task.samples(root, "train", within="other")
    with pytest.raises(DataError, match="no split 'best'"):
        task.samples(root, "train", within="best")
    (root / "masks/a.png").unlink()
    with pytest.raises(DataError, match=r"images/a\.png has no mask"):
        task.samples(root, "train")


@pytest.mark.parametrize(
    ("folder", "task", "mask", "expected"),
    [
        ("idd_lite", "idd_lite", row(0, 6, 255), [0, 6, 255]),
        ("idd_lite", "cityscapes", row(0, 1, 6, 255), [0, 1, 255]),
        ("my-camvid-copy", "camvid", row(0, 10, 11), [0, 10, 255]),
        ("camvid", "cityscapes", row(3, 11), [1, 255]),
        ("camvid", "kitti_road", row(4, 3), [0, 1]),
        ("objects", "ecssd", row(0, 255), [0, 1]),
        ("people", "ecssd", row(255), [1]),
        ("Horses", "ecssd", row(0), [0]),
        ("cityscapes_mini", "cityscapes", row(0, 255), [1, 255]),
        ("cityscapes_mini", "cityscapes", row(18), [0]),
        ("cityscapes_mini", "cityscapes19", row(0, 18, 255), [0, 18, 255]),
    ],
)
def test_the_folders_name_tells_the_encoding(
    plain_folder: Make, folder: str, task: str, mask: NDArray[np.uint8], expected: list[int]
) -> None:
    root = plain_folder(folder, {"a": mask})
    assert labels_of(tasks.get(task), root) == [expected]


@pytest.mark.parametrize(
    ("task", "masks", "expected"),
    [
        ("ecssd", [row(0), row(0, 255)], [[0], [0, 1]]),
        ("ecssd", [row(0, 1)], [[0, 1]]),
        ("ecssd", [row(255)], [[1]]),
        ("ecssd", [row(0)], [[0]]),
        ("kitti_road", [row(0, 255)], [[0, 1]]),
        ("kitti_road", [row(0, 1, 255)], [[0, 1, 255]]),
        ("cityscapes", [row(0, 1), row(0)], [[0, 1], [0]]),
        ("camvid", [row(0, 3, 11)], [[0, 3, 255]]),
        ("camvid", [row(0, 3, 255)], [[0, 3, 255]]),
        ("idd_lite", [row(1, 4, 255)], [[1, 4, 255]]),
    ],
)
def test_the_masks_tell_the_encoding(
    plain_folder: Make, task: str, masks: list[NDArray[np.uint8]], expected: list[list[int]]
) -> None:
    root = plain_folder("street", {f"f{index}": mask for index, mask in enumerate(masks)})
    assert labels_of(tasks.get(task), root) == expected


def test_camvid_takes_the_classes_of_cityscapes(plain_folder: Make) -> None:
    """SegNet's grouping of CamVid's own 32 classes, by the names of both."""
    means = meanings_of_cityscapes("camvid", plain_folder)
    same = ("sky", "building", "pole", "road", "fence", "car")
    assert {name: means.pop(name) for name in same} == {name: name for name in same}
    assert means == {
        "wall": "building",
        "sidewalk": "pavement",
        **dict.fromkeys(("vegetation", "terrain"), "tree"),
        **dict.fromkeys(("traffic light", "traffic sign"), "sign"),
        **dict.fromkeys(("truck", "bus", "train"), "car"),
        "person": "pedestrian",
        **dict.fromkeys(("rider", "motorcycle", "bicycle"), "bicyclist"),
    }


def test_idd_lite_takes_the_classes_of_cityscapes(plain_folder: Make) -> None:
    """IDD's level-1 classes; its "non-drivable fallback" holds what Cityscapes calls terrain."""
    grouped: dict[str, set[str]] = {}
    for name, meaning in meanings_of_cityscapes("idd_lite", plain_folder).items():
        grouped.setdefault(meaning, set()).add(name)
    assert grouped == {
        "drivable": {"road"},
        "non-drivable": {"sidewalk", "terrain"},
        "living things": {"person", "rider"},
        "vehicles": {"car", "truck", "bus", "train", "motorcycle", "bicycle"},
        "roadside objects": {"wall", "fence", "pole", "traffic light", "traffic sign"},
        "far objects": {"building", "vegetation"},
        "sky": {"sky"},
    }


def test_a_name_is_read_by_words(plain_folder: Make) -> None:
    root = plain_folder("hidden_personal", {"a": row(0, 1, 255)})
    assert labels_of(tasks.get("cityscapes"), root) == [[0, 1, 255]]


def test_labels_that_may_be_two_things_are_not_guessed(plain_folder: Make) -> None:
    root = plain_folder("street", {"a": row(0, 3, 10, 11)})
    task = tasks.get("cityscapes")
    with pytest.raises(DataError, match=r"may be any of .*camvid.*; name the encoding"):
        task.samples(root, "all")
    assert labels_of(task, root, labels="camvid") == [[0, 1, 255]]
    assert labels_of(task, root, labels="cityscapes_train_ids") == [[0, 1]]
    with pytest.raises(UnknownNameError, match="did you mean camvid"):
        task.samples(root, "all", labels="camvit")


def test_the_folder_above_settles_what_the_masks_leave_open(plain_folder: Make) -> None:
    root = plain_folder("camvid/test", {"a": row(0, 3, 10, 11)})
    assert labels_of(tasks.get("cityscapes"), root) == [[0, 1, 255]]


def test_a_link_is_known_by_its_targets_name(plain_folder: Make, tmp_path: Path) -> None:
    target = plain_folder("camvid", {"a": row(3, 11)})
    (tmp_path / "link").symlink_to(target)
    assert labels_of(tasks.get("cityscapes"), tmp_path / "link") == [[1, 255]]


@pytest.mark.parametrize(
    ("folder", "task"), [("idd_lite", "camvid"), ("people", "cityscapes"), ("camvid", "ecssd")]
)
def test_labels_that_do_not_suit_the_task_are_refused(
    plain_folder: Make, folder: str, task: str
) -> None:
    root = plain_folder(folder, {"a": row(0)})
    with pytest.raises(DataError, match=f"the task {task} cannot use the labels of .*{folder}"):
        tasks.get(task).samples(root, "all")


def test_kitti_reads_the_road_masks_and_only_their_frames(plain_folder: Make, write: Any) -> None:
    root = plain_folder("kitti_road_tiny", {"a": row(0, 1), "b": row(0, 1)}, train=["a", "b"])
    write(root / "masks_road/b.png", row(0, 1, 255))
    task = tasks.get("kitti_road")
    (sample,) = task.samples(root, "train")
    assert (sample.stem, sample.encoding.name) == ("b", "kitti_road")
    assert labels_of(task, root, "train") == [[0, 1, 255]]


def test_a_label_out_of_range_names_file_and_value(plain_folder: Make) -> None:
    root = plain_folder("camvid", {"a": row(0, 12)})
    task = tasks.get("camvid")
    with pytest.raises(DataError, match=r"masks/a\.png has the label 12, which is out of range"):
        task.read_label(task.samples(root, "all")[0])


def test_a_mask_of_another_size_is_named(plain_folder: Make) -> None:
    root = plain_folder("camvid", {"a": np.zeros((6, 7), np.uint8)})
    task = tasks.get("camvid")
    with pytest.raises(DataError, match=r"masks/a\.png is 7 x 6, but its image is 8 x 6"):
        task.read_label(task.samples(root, "all")[0])


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_a_turned_photograph_has_the_size_that_is_seen(plain_folder: Make, suffix: str) -> None:
    root = plain_folder("camvid", {"a": np.zeros((6, 8), np.uint8)})
    (root / "images/a.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    path = root / f"images/a{suffix}"
    Image.new("RGB", (6, 8)).save(path, exif=exif)
    assert read_image(path).shape == (6, 8, 3)
    task = tasks.get("camvid")
    assert task.read_label(task.samples(root, "all")[0]).shape == (6, 8)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(data_sets.encodings())), st.sampled_from(tasks.names()))
def test_lookup_maps_every_value_to_a_class_or_ignore(encoding: str, name: str) -> None:
    task, known = tasks.get(name), data_sets.get_encoding(encoding)
    if not task.reads(known):
        return
    table = task.lookup(known)
    assert {
        value for value in range(256) if table[value] >= 0
    } == known.values.keys() | known.ignored
    assert set(table[list(known.values)]) <= set(range(len(task.classes)))
    assert all(table[value] == 255 for value in known.ignored)


OWN = """
classes:
  - {name: floor, color: [0, 120, 0]}
  - {name: wall, color: [120, 0, 0]}
  - {name: door, color: [0, 0, 120]}
ignore: 9
"""


def test_own_folder(plain_folder: Make) -> None:
    root = plain_folder("rooms", {"a": row(0, 1, 2, 9), "b": row(1)}, train=["a"], val=["b"])
    (root / "classes.yaml").write_text(OWN)
    task = tasks.from_folder(root)
    assert (task.name, task.class_names) == ("rooms", ("floor", "wall", "door"))
    np.testing.assert_array_equal(task.palette[2], [0, 0, 120])
    assert labels_of(task, root, "train") == [[0, 1, 2, 255]]
    assert labels_of(task, root, "val") == [[1]]
    assert tasks.get(str(root)).classes == task.classes


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_editors_write_classes(plain_folder: Make, encoding: str) -> None:
    root = plain_folder("mine", {"a": row(0, 1)})
    (root / "classes.yaml").write_bytes(OWN.replace("\n", "\r\n").encode(encoding))
    assert tasks.from_folder(root).class_names == ("floor", "wall", "door")


def test_own_values(plain_folder: Make) -> None:
    root = plain_folder("cracks", {"a": row(0, 255)})
    (root / "classes.yaml").write_text(
        "classes: [{name: a, color: [0, 0, 0]}, {name: b, color: [9, 0, 0], value: 255}]"
    )
    assert labels_of(tasks.from_folder(root), root) == [[0, 1]]


@pytest.mark.parametrize("ignore", ["", "ignore: [255, 255, 255]"])
def test_own_colours(plain_folder: Make, write: Any, ignore: str) -> None:
    colors = np.array([[0, 120, 0], [120, 0, 0], [255, 255, 255]], np.uint8)
    root = plain_folder("rooms", {"a": row(0)})
    write(root / "masks/a.png", colors[row(0, 1, 2) if ignore else row(0, 1)])
    (root / "classes.yaml").write_text(
        "classes: [{name: floor, color: [0, 120, 0]}, {name: wall, color: [120, 0, 0]}]\n"
        f"masks: colors\n{ignore}\n"
    )
    assert labels_of(tasks.from_folder(root), root) == [[0, 1, 255] if ignore else [0, 1]]


def test_own_classes_are_matched_by_name(plain_folder: Make) -> None:
    root = plain_folder("mine", {"a": row(0, 1)})
    (root / "classes.yaml").write_text(
        "classes: [{name: car, color: [1, 2, 3]}, {name: sky, color: [4, 5, 6]}]"
    )
    task = tasks.get("camvid")
    expected = [task.class_names.index("sky"), task.class_names.index("car")]
    assert labels_of(task, root) == [sorted(expected)]
    with pytest.raises(DataError, match=r"cannot use the labels of .*mine"):
        tasks.get("idd_lite").samples(root, "all")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: [{name: a, color: [1, 2, 3]}]", "classes"),
        ("classes: 3", "classes"),
        ("- a", "the file"),
        ("", "the file"),
        ("classes: [", "not valid YAML"),
        ("ignore: 255\nignore: 3", "the key 'ignore' is given twice"),
        ("ignore: 2024-31-12", "not valid YAML"),
        (OWN + "shape: 3", "shape"),
        (OWN.replace("wall", "door"), "two classes have the same name"),
        (OWN.replace("120, 0, 0", "256, 0, 0"), "colour is three numbers"),
        (OWN.replace("120, 0, 0", "1, 0"), "color"),
        (OWN.replace("ignore: 9", "ignore: 1"), "ignore value 1 is also the class 'wall'"),
        (OWN.replace("ignore: 9", "ignore: 256"), "ignore"),
        (OWN.replace("name: wall", "value: 0, name: wall"), "two classes have the value 0"),
        (OWN.replace("ignore: 9", "ignore: [1, 2, 3]"), "ignore is a number"),
        (OWN.replace("ignore: 9", "masks: colors\nignore: 9"), "ignore is a colour"),
        (OWN.replace("ignore: 9", "masks: colors\nignore: [120, 0, 0]"), "also that of the class"),
        (OWN.replace("120, 0, 0", "0, 120, 0") + "masks: colors", "two classes have the colour"),
        (OWN.replace("ignore: 9", "masks: shades"), "masks"),
        ("[" * 5000, "nested too deeply"),
        (OWN.replace("wall", "ri\udcdf"), "no text in UTF-8"),
        (OWN.replace("wall", '" "'), "classes.1.name"),
        (OWN.replace("ignore: 9", "ignore: [0, 255]"), "wrong at ignore"),
        ("classes: [floor, wall]", "should be a mapping"),
    ],
)
def test_wrong_classes_are_said_in_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "classes.yaml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=message) as caught:
        tasks.from_folder(tmp_path)
    assert "classes.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_classes_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*classes\.yaml"):
        tasks.from_folder(tmp_path)


def test_classes_that_are_a_folder_are_said(plain_folder: Make) -> None:
    root = plain_folder("mine", {"a": row(0, 1)}, train=["a"])
    (root / "classes.yaml").mkdir()
    with pytest.raises(DataError, match=r"cannot read .*classes\.yaml: Is a directory"):
        Folder.open(root)
    with pytest.raises(DataError, match=r"cannot read .*classes\.yaml"):
        tasks.get(str(root))


def test_classes_of_a_broken_link_are_said(plain_folder: Make) -> None:
    root = plain_folder("mine", {"a": row(0, 1)}, train=["a"])
    (root / "classes.yaml").symlink_to("nowhere.yaml")
    with pytest.raises(DataError, match=r"cannot read .*classes\.yaml: No such file"):
        Folder.open(root)


@pytest.mark.parametrize("name", ["classes.yml", "Classes.yaml", "classes.yaml.txt"])
def test_a_file_called_nearly_as_classes_is_said(plain_folder: Make, name: str) -> None:
    root = plain_folder("mine", {"a": row(0, 1)}, train=["a"])
    (root / name).write_text("classes: []")
    with pytest.raises(DataError, match=r"rename it classes\.yaml"):
        Folder.open(root)


def test_sources_are_joined(plain_folder: Make, tmp_path: Path) -> None:
    plain_folder("idd_lite", {"a": row(0, 1), "b": row(255)}, train=["a", "b"], good=["a"])
    plain_folder("other", {"c": row(3, 4, 11)}, train=["c"])
    task = tasks.get("cityscapes")
    samples = task.join(
        tmp_path,
        [
            tasks.DataSource("idd_lite", "train", within="good", repeat=2),
            tasks.DataSource("other", "train", labels="camvid"),
        ],
    )
    assert [sample.stem for sample in samples] == ["a", "a", "c"]
    assert [sample.encoding.name for sample in samples] == ["idd_lite", "idd_lite", "camvid"]
    found = [np.unique(task.read_label(sample)).tolist() for sample in samples]
    assert found == [[0, 1], [0, 1], [0, 1, 255]]
