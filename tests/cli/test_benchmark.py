"""`larq-dense benchmark`: what is timed, printed and drawn, and bad input."""

import json
from pathlib import Path

import phones
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from larq_dense.cli import main
from larq_dense.runtime import xnor

LCE = ["LCE default", "LCE reference", "LCE indirect", *["XNOR runtime"] * xnor.available()]


def benchmark(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["benchmark", *map(str, arguments)])


def test_a_run_is_timed_on_every_engine_beside_its_baselines(
    tiny_run: Path, tmp_path: Path
) -> None:
    plot = tmp_path / "new" / "latency.png"
    result = benchmark(tiny_run, "--threads", 1, 2, "--repeats", 2, "--json", "--plot", plot)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["input"] == [64, 64]
    assert document["machine"]["cpu"]
    assert document["machine"]["instruction_sets"]
    one_thread = [*LCE, "TFLite float32", "TFLite int8"]
    rows = document["timings"]
    assert [(row["engine"], row["threads"]) for row in rows] == [
        ("Keras", None),
        *((engine, threads) for threads in (1, 2) for engine in one_thread),
    ]
    for row in rows:
        assert len(row["repeats_ms"]) == 2
        assert row["median_ms"] == pytest.approx(sum(row["repeats_ms"]) / 2)
        assert row["median_ms"] > 0.01
    by_key = {(row["engine"], row["threads"]): row for row in rows}
    for (_, threads), row in by_key.items():
        baseline = by_key["TFLite float32", threads or 2]
        assert row["ratio_to_float32"] == pytest.approx(row["median_ms"] / baseline["median_ms"])
    sizes = {row["network"]: row["bytes"] for row in rows[1:]}
    assert sizes["binary"] < sizes["int8"] < sizes["float32"]
    binary, baseline = document["complexity"]["binary"], document["complexity"]["float"]
    assert binary["binary_macs"] > 0 == baseline["binary_macs"]
    # The same topology: every binary MAC is a float one in the baseline.
    assert baseline["float_macs"] == baseline["ops"] == binary["binary_macs"] + binary["float_macs"]
    assert binary["ops"] == binary["float_macs"] + binary["binary_macs"] / 64
    Image.open(plot).verify()


def test_a_run_is_timed_on_a_phone_beside_its_baselines(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = phones.connect_phone(tmp_path, monkeypatch)
    aar = phones.emulate_arm64(phone, monkeypatch)
    plot = tmp_path / "latency.png"
    options = ("--device", "adb", "--litert", aar, "--repeats", 2, "--threads", 1, 2)
    result = benchmark(tiny_run, *options, "--json", "--plot", plot)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["machine"]["cpu"] == "QEMU user mode (max)"
    rows = document["timings"]
    assert [(row["engine"], row["threads"]) for row in rows] == [
        (engine, threads)
        for threads in (1, 2)
        for engine in ("XNOR runtime", "TFLite float32", "TFLite int8")
    ]
    for row in rows:
        assert len(row["repeats_ms"]) == 2
        assert row["median_ms"] == pytest.approx(sum(row["repeats_ms"]) / 2)
    assert rows[1]["ratio_to_float32"] == 1
    assert document["complexity"]["binary"]["binary_macs"] > 0
    assert document["label_agreement"] > 0.99
    Image.open(plot).verify()


def test_a_file_is_timed_on_a_phone(
    tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = phones.connect_phone(tmp_path, monkeypatch)
    aar = phones.emulate_arm64(phone, monkeypatch)
    options = ("--device", "adb", "--litert", aar, "--serial", phones.SERIAL, "--repeats", 1)
    result = benchmark(tiny_file, *options)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("QEMU user mode (max), ") and lines[0].endswith("neon portable")
    assert lines[1].startswith("TensorFlow Lite 2.") and lines[1].endswith("Android 15 arm64-v8a")
    assert [line.split("  ")[0] for line in lines[4:6]] == ["engine", "XNOR runtime"]
    assert "Larq Compute Engine's kernels are left out" in result.stdout
    assert "The phone's labels equal this machine's at" in lines[-1]


def test_no_phone_is_one_sentence(
    tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = phones.connect_phone(tmp_path, monkeypatch)
    options = ("--device", "adb", "--litert", tiny_file)
    assert_one_sentence(benchmark(tiny_file, *options, "--serial", "else"), "of the serial else")
    (phone / "devices").write_text("")
    assert_one_sentence(benchmark(tiny_file, *options), "no phone is connected")
    assert benchmark(tiny_file, *options[:2]).exit_code == 2
    assert benchmark(tiny_file, *options[2:]).exit_code == 2


def test_a_converted_file_is_timed_without_baselines(tiny_file: Path) -> None:
    result = benchmark("--threads", 1, tiny_file, "--repeats", 1)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for engine in LCE:
        assert any(line.startswith(engine) for line in lines)
    assert not any("Keras" in line or "TFLite" in line for line in lines)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(("--threads", 3), [3]), (("--threads", 2, 1, 2), [2, 1]), (("--threads=1",), [1]), ((), [1])],
)
def test_numbers_of_threads_follow_the_option(
    tiny_file: Path, given: tuple[object, ...], expected: list[int]
) -> None:
    result = benchmark(tiny_file, "--repeats", 1, "--json", *given)
    assert result.exit_code == 0, result.output
    threads = [row["threads"] for row in json.loads(result.stdout)["timings"]]
    assert list(dict.fromkeys(threads)) == expected


def test_a_full_precision_run_is_timed_as_a_whole_and_in_int8(float_run: Path) -> None:
    result = benchmark(float_run, "--repeats", 1, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    engines = [(row["engine"], row["network"]) for row in document["timings"]]
    assert engines == [("Keras", "float32"), ("TFLite float32", "float32"), ("TFLite int8", "int8")]
    assert document["complexity"]["float"]["binary_macs"] == 0


def test_bad_names_and_places_are_one_sentence(tiny_file: Path, tmp_path: Path) -> None:
    assert_one_sentence(benchmark("ecsd"), "did you mean ecssd")
    assert_one_sentence(benchmark(tmp_path / "no.tflite"), "no such model file")
    assert_one_sentence(benchmark(tiny_file, "--plot", tmp_path / "plot.doc"), "cannot draw")
    plot = tiny_file / "plot.png"
    assert_one_sentence(benchmark(tiny_file, "--plot", plot), "cannot write in")
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(tiny_file.read_bytes()[:5000])
    assert_one_sentence(benchmark(damaged), "damaged.tflite is truncated or damaged")
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    assert_one_sentence(benchmark(unfinished), "no recipe.yaml")


@pytest.mark.parametrize(
    "wrong", [("--threads", 0), ("--threads", 65), ("--repeats", 0), ("--threads", "two"), ()]
)
def test_wrong_usage_exits_with_2(wrong: tuple[object, ...]) -> None:
    assert benchmark(*(("ecssd", *wrong) if wrong else ())).exit_code == 2


def assert_one_sentence(result: Result, part: str) -> None:
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert not result.stdout
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert part in errors[0]
