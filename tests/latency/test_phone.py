"""Models timed on a phone: a fake `adb`, 64-bit Arm programs under QEMU, LiteRT's own library."""

import importlib
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import phones
import pytest
from numpy.typing import NDArray

from larq_dense.common.errors import LarqDenseError
from larq_dense.latency.adb import Phone, connect
from larq_dense.latency.phone import (
    PhoneCandidate,
    build_kit,
    label_agreement,
    phone_candidates,
    time_on_phone,
)
from larq_dense.runtime import xnor

HEIGHT, WIDTH, CLASSES = 16, 24, 5
NATIVE_TESTS = Path(__file__).resolve().parents[1] / "native"


def network(binary: bool) -> bytes:
    """Write one convolution of a picture, in either precision, without a converter."""
    pytest.importorskip("flatbuffers")
    if str(NATIVE_TESTS) not in sys.path:
        sys.path.insert(0, str(NATIVE_TESTS))
    graph: Any = importlib.import_module("lce_graph").Graph()
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(CLASSES, 3, 3, 3)).astype(np.float32)
    bias = rng.normal(size=CLASSES).astype(np.float32)
    picture = graph.input((1, HEIGHT, WIDTH, 3))
    if binary:
        scale = rng.normal(size=CLASSES)
        bits = graph.quantize(picture)
        return graph.build(graph.conv(bits, 3, np.sign(weights), multiplier=scale, bias=bias))
    output = graph.tensor((1, HEIGHT, WIDTH, CLASSES), np.float32)
    inputs = [picture, graph.constant(weights), graph.constant(bias)]
    return graph.build(graph.convolution(inputs, output, 1) or output)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("phone")


@pytest.fixture(scope="module")
def phone(folder: Path) -> Any:
    with pytest.MonkeyPatch.context() as monkeypatch:
        phones.connect_phone(folder, monkeypatch)
        yield connect()


@pytest.fixture(scope="module")
def kit(folder: Path, phone: Phone) -> Any:
    """Return what the phone needs, built by a cross compiler in the place of the NDK's."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        aar = phones.emulate_arm64(folder / "phone", monkeypatch)
        built = folder / "kit"
        built.mkdir()
        yield build_kit(phone, aar, built)


@pytest.fixture
def picture() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(1, HEIGHT, WIDTH, 3)).astype(np.float32)


@pytest.mark.skipif(not xnor.available(), reason=str(xnor.why_unavailable()))
def test_the_phone_computes_what_this_machine_computes(
    phone: Phone, kit: list[Path], folder: Path, picture: NDArray[np.float32]
) -> None:
    binary, full = network(binary=True), network(binary=False)
    entrants = phone_candidates([1, 2], binary_file=binary, float_file=full)
    assert [(each.engine, each.network, each.threads, each.size) for each in entrants] == [
        (engine, name, count, len(file))
        for count in (1, 2)
        for engine, name, file in (
            ("XNOR runtime", "binary", binary),
            ("TFLite float32", "float32", full),
        )
    ]
    run = time_on_phone(phone, kit, entrants, picture, 3)
    expected = xnor.load(binary).run(picture)
    np.testing.assert_array_equal(run.output.reshape(expected.shape), expected)
    assert [timing.candidate for timing in run.timings] == entrants
    times = [timing.milliseconds for timing in run.timings]
    assert all(len(each) == 3 and min(each) > 0 for each in times)
    assert len(set(times)) == len(entrants)
    assert run.machine["cpu"] == "QEMU user mode (max)"
    assert run.machine["system"] == "Android 15 arm64-v8a"
    assert "neon" in run.machine["instruction_sets"]
    assert run.machine["cores"] >= 1 and run.machine["tflite"].startswith("2.")
    assert not list((folder / "phone/data/local/tmp").iterdir())


def test_the_float_baseline_gives_what_the_definition_says(
    phone: Phone, kit: list[Path], picture: NDArray[np.float32]
) -> None:
    full = network(binary=False)
    entrant = PhoneCandidate("TFLite float32", "float32", 1, len(full), full)
    output = time_on_phone(phone, kit, [entrant], picture, 1).output
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(CLASSES, 3, 3, 3)), rng.normal(size=CLASSES)
    padded = np.pad(picture[0], ((1, 1), (1, 1), (0, 0)))
    expected = bias + sum(
        padded[y : y + HEIGHT, x : x + WIDTH] @ weights[:, y, x].T
        for y in range(3)
        for x in range(3)
    )
    np.testing.assert_allclose(output.reshape(expected.shape), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"file": b"no model"}, r"adb shell failed: binary.tflite is no model"),
        ({"threads": 99}, r"no XNOR delegate: .*num_threads must be 0 to 64, not 99\."),
        ({"network": "float32"}, r"LiteRT cannot run float32.tflite: .*Lce"),
    ],
)
def test_what_fails_on_the_phone_is_one_sentence(
    phone: Phone,
    kit: list[Path],
    folder: Path,
    picture: NDArray[np.float32],
    change: dict[str, Any],
    sentence: str,
) -> None:
    file = network(binary=True)
    given = {"network": "binary", "threads": 1, "file": file, **change}
    with pytest.raises(LarqDenseError, match=sentence):
        time_on_phone(phone, kit, [PhoneCandidate("", size=0, **given)], picture, 1)
    with pytest.raises(LarqDenseError, match=r"takes 4608 bytes, but the picture has 2304\."):
        time_on_phone(
            phone, kit, phone_candidates([1], binary_file=file), picture[:, : HEIGHT // 2], 1
        )
    assert not list((folder / "phone/data/local/tmp").iterdir())


@pytest.fixture
def ndk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an NDK whose compiler fails."""
    tools = tmp_path / "toolchains/llvm/prebuilt/linux-x86_64/bin"
    phones.write_script(tools / "aarch64-linux-android24-clang++", "echo 'no space' >&2; false")
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
    return tmp_path


def test_what_is_missing_for_the_build_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ndk: Path
) -> None:
    properties = phones.connect_phone(tmp_path, monkeypatch) / "properties.json"
    litert, phone = tmp_path / "litert.so", connect()
    with pytest.raises(LarqDenseError, match=r"cannot read .*litert.so"):
        build_kit(phone, litert, tmp_path)
    litert.write_bytes(b"")
    with pytest.raises(LarqDenseError, match=r"cannot build device_benchmark\.cc:\nno space"):
        build_kit(phone, litert, tmp_path / "bin")
    with zipfile.ZipFile(tmp_path / "other.aar", "w") as archive:
        archive.writestr("jni/x86/libLiteRt.so", b"")
    with pytest.raises(LarqDenseError, match=r"neither jni/arm64-v8a/libtensorflowlite_jni\.so"):
        build_kit(phone, tmp_path / "other.aar", tmp_path)
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path / "none"))
    with pytest.raises(LarqDenseError, match="holds no toolchains/llvm"):
        build_kit(phone, litert, tmp_path / "bin")
    monkeypatch.delenv("ANDROID_NDK_HOME")
    with pytest.raises(LarqDenseError, match="ANDROID_NDK_HOME is not set"):
        build_kit(phone, litert, tmp_path / "bin")
    properties.write_text('{"ro.product.cpu.abi": "armeabi-v7a"}')
    with pytest.raises(LarqDenseError, match="processor is armeabi-v7a; known: arm64-v8a"):
        build_kit(phone, litert, tmp_path)


def test_agreement_is_over_labels() -> None:
    first = np.zeros((1, 2, 2, 3), np.float32)
    first[..., 1] = 1
    second = first * 7
    assert label_agreement(first, second) == 1
    second[0, 0, 0, 2] = 9
    assert label_agreement(first, second) == 0.75
    saliency = np.array([-1, 1, 2, -3], np.float32).reshape(1, 2, 2, 1)
    assert label_agreement(saliency, np.abs(saliency)) == 0.5
