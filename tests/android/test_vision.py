"""What the app computes of a picture, on the JVM, against Python; and how it reads files."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import tiny_models as tiny
from jvm import Kotlinc, join, run
from numpy.typing import NDArray
from tflite_files import described

from larq_dense.cli.convert import BASELINE_SUFFIX, FILE_SUFFIX
from larq_dense.common.images import Preprocessing, overlay
from larq_dense.runtime import ModelSpec, Predictor, SpecClass, read_spec
from larq_dense.runtime.metadata import METADATA_NAME

Driver = Callable[..., str]


@pytest.fixture(scope="module")
def driver(
    kotlinc: Kotlinc, kotlin_library: Path, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Driver:
    """Return VisionDriver.kt, compiled together with the module, as a command."""
    jar = tmp_path_factory.mktemp("vision") / "vision.jar"
    own = Path(__file__).with_name("VisionDriver.kt")
    kotlinc([project / "vision" / "src" / "main" / "kotlin", own], jar)
    main = "larqdense.vision.VisionDriverKt"
    return lambda *arguments: run("java", "-cp", join([jar, kotlin_library]), main, *arguments)


class _Given:
    """An interpreter whose logits are given."""

    def __init__(self, spec: ModelSpec, logits: NDArray[np.float32]) -> None:
        self.input_shape = (1, spec.preprocessing.height, spec.preprocessing.width, 3)
        self.output_shape = (1, *logits.shape)
        self._logits = logits

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._logits[None]


def many_classes() -> ModelSpec:
    """Return a description with more classes than a signed byte counts, the first one black."""
    classes = tuple(SpecClass(f"class {i}", (i, 255 - i, i // 2)) for i in range(1, 200))
    size = Preprocessing(30, 20, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    return ModelSpec("many", "own", "segmentation", (SpecClass("none", (0, 0, 0)), *classes), size)


def letterboxed() -> ModelSpec:
    """Return a description of a network that sees pictures in their own shape."""
    size = dataclasses.replace(tiny.spec().preprocessing, fit="letterbox")
    return dataclasses.replace(tiny.spec(), preprocessing=size)


SPECS = [tiny.spec(), tiny.spec("saliency"), many_classes(), letterboxed()]
# Of pictures: the network's own size, one pixel, upsampled, made smaller in both ways or in one.
PICTURES = [(32, 64), (1, 1), (5, 7), (480, 640), (333, 517), (32, 200), (101, 64)]


def test_labels_and_overlays_equal_pythons(driver: Driver, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    cases = []
    for number, (spec, size) in enumerate(itertools.product(SPECS, PICTURES)):
        folder = tmp_path / str(number)
        folder.mkdir()
        picture = random.integers(0, 256, (*size, 3), np.uint8)
        shape = [(8, 16), size, (70, 9)][number % 3]
        # In quarters, so that classes are often exactly equal and the first one has to win.
        logits = random.integers(-20, 21, (*shape, spec.num_outputs)).astype(np.float32) / 4
        (folder / "model.tflite").write_bytes(described(spec))
        words = picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        write(folder / "picture.bin", (size[1], size[0]), words | 0xFF000000)
        write(folder / "logits.bin", logits.shape, logits)
        cases.append((folder, spec, picture, logits))
    driver("label", *(case[0] for case in cases))
    for folder, spec, picture, logits in cases:
        predictor = Predictor(_Given(spec, logits), spec)
        labels = predictor.labels(picture)
        expected = spec.preprocessing(picture)
        np.testing.assert_array_equal(read(folder / "input.bin", "<f4", expected.shape), expected)
        np.testing.assert_array_equal(read(folder / "labels.bin", "u1", labels.shape), labels)
        seen = read(folder / "overlay.bin", "u1", (*labels.shape, 4))
        # 0xAARRGGBB, little-endian
        np.testing.assert_array_equal(seen[..., 2::-1], overlay(picture, labels, spec.palette))
        assert (seen[..., 3] == 255).all()


def write(path: Path, sizes: tuple[int, ...], values: NDArray[np.generic]) -> None:
    path.write_bytes(np.array(sizes, "<i4").tobytes() + values.tobytes())


def read(path: Path, dtype: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    return np.frombuffer(path.read_bytes(), dtype).reshape(shape)


def shown(spec: ModelSpec | None) -> str:
    """Return what the driver prints of a description."""
    assert spec is not None
    colors = [(red << 16) + (green << 8) + blue for red, green, blue in spec.palette.tolist()]
    classes = [f"{name}={color}" for name, color in zip(spec.class_names, colors, strict=True)]
    size = spec.preprocessing
    mean, std = (list(map(float, map(np.float32, each))) for each in (size.mean, size.std))
    fields = [spec.name, spec.task, str(spec.kind == "saliency").lower(), bracketed(classes)]
    fields += [size.height, size.width, bracketed(map(short, mean)), bracketed(map(short, std))]
    return "|".join(map(str, [*fields, spec.num_outputs, spec.description]))


def bracketed(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def short(number: float) -> str:
    """Return the fewest digits that name a float32, as Java prints them."""
    return str(np.float32(number))


def read_all(driver: Driver, folder: Path, files: list[bytes]) -> list[str]:
    """Return what the driver reads in files."""
    folder.mkdir()
    for number, content in enumerate(files):
        (folder / f"{number:04}").write_bytes(content)
    return driver("read", folder).splitlines()


def test_reads_the_description_that_python_reads(driver: Driver, tmp_path: Path) -> None:
    odd = ModelSpec.from_dict(
        {**tiny.spec().to_dict(), "description": 'é "→" \\ / \t 中 \U0001f600'}
    )
    files = [described(spec, behind) for spec in (*SPECS, odd) for behind in (False, True)]
    assert read_all(driver, tmp_path / "files", files) == [shown(read_spec(f)) for f in files]


def test_reads_a_file_from_the_converter(driver: Driver, tmp_path: Path) -> None:
    pytest.importorskip("larq_compute_engine")
    content = tiny.converted()[1].content
    assert read_all(driver, tmp_path / "files", [content]) == [shown(tiny.spec())]


def test_refuses_damaged_files_in_a_sentence(driver: Driver, tmp_path: Path) -> None:
    whole = described(tiny.spec())
    random = np.random.default_rng(0)
    start, end = 0, whole.index(b"PK\x03\x04")
    files = [whole[:length] for length in range(0, end, end // 50)]
    for _ in range(400):
        damaged = bytearray(whole)
        damaged[random.integers(start, end)] = random.integers(0, 256)
        files.append(bytes(damaged))
    files += [b"", b"no model", whole.replace(METADATA_NAME.encode(), b"something_")]
    files.append(whole.replace(b'"kind"', b'"what"'))
    # The driver lets nothing but a refusal pass, so that any other exception fails the run.
    lines = read_all(driver, tmp_path / "files", files)
    assert len(lines) == len(files)
    assert lines[-4:] == [
        "refused: it is truncated or damaged.",
        "refused: it is not a TFLite model.",
        "refused: it has no metadata (classes, normalization); make it by larq-dense convert.",
        "refused: its description is damaged: kind is missing.",
    ]


def test_finds_what_convert_writes(driver: Driver) -> None:
    names = [f"{name}{each}" for name in ("b", "a") for each in (FILE_SUFFIX, BASELINE_SUFFIX)]
    names += [f"b_int8{each}" for each in (FILE_SUFFIX, BASELINE_SUFFIX)]
    names += [f"alone{FILE_SUFFIX}", f"orphan{BASELINE_SUFFIX}", "images", "labels.txt"]
    assert driver("entries", *names).splitlines() == [
        "b_int8 b_int8.tflite b_int8_random_baseline_int8.tflite",
        "a a.tflite a_random_baseline_int8.tflite",
        "alone alone.tflite null",
        "b b.tflite b_random_baseline_int8.tflite",
    ]


def test_the_module_is_plain_kotlin(project: Path) -> None:
    files = list((project / "vision").rglob("*.kt"))
    imports = [line for file in files for line in re.findall("^import .*", file.read_text(), re.M)]
    assert imports
    assert all(re.match(r"import (java|kotlin)\.", line) for line in imports)
