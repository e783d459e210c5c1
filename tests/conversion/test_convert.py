import dataclasses
from pathlib import Path

import larq as lq
import larq_compute_engine as lce
import numpy as np
import pytest
import tensorflow as tf
import tiny_models as tiny

from larq_dense.common.errors import ConversionError, DataError, LarqDenseError
from larq_dense.conversion import convert, parity
from larq_dense.runtime import Predictor


def test_the_file_computes_what_keras_computes() -> None:
    model, result = tiny.converted()
    inputs = np.random.default_rng(1).normal(size=(1, tiny.HEIGHT, tiny.WIDTH, 3))
    expected = model(inputs.astype(np.float32)).numpy()
    for runtime in ("lce", "auto"):
        predictor = Predictor.from_tflite(result.content, runtime=runtime)
        actual = predictor._interpreter.run(inputs.astype(np.float32))
        np.testing.assert_allclose(actual, expected, atol=1e-3 * np.abs(expected).max())


def test_the_report_says_what_was_measured() -> None:
    _, result = tiny.converted()
    report = result.to_dict()
    assert report["bytes"] == len(result.content)
    assert report["parity"]["images"] == 2
    assert report["parity"]["same_labels"] > 0.99
    assert 0 <= report["parity"]["max_logit_difference"] < 1e-3 * report["parity"]["max_logit"]
    assert [layer["layer"] for layer in report["audit"]["layers"]] == ["packed", "half", "wide"]


def test_a_model_gives_the_same_bytes_again() -> None:
    model, result = tiny.converted()
    assert convert(model, tiny.spec()).content == result.content


def test_a_model_for_any_size_is_converted_at_the_size_of_its_description() -> None:
    layers = [tiny.binary_conv(32, name=name) for name in ("first", "second")]
    model = tiny.around(layers[0], tiny.batch_norm(1), layers[1], height=None)
    result = convert(model, tiny.spec(height=48), images=tiny.pictures()[:1])
    assert {layer.layer for layer in result.audit.layers} == {"first", "second"}
    assert result.parity is not None
    assert result.parity.same_labels > 0.99


def test_a_failed_audit_leaves_no_file(tmp_path: Path) -> None:
    layer = lq.layers.QuantConv2DTranspose(8, 3, 2, padding="same", name="up", **tiny.BINARY)
    with pytest.raises(ConversionError, match=r"up \(a float TRANSPOSE_CONV\)"):
        convert(tiny.around(layer), tiny.spec()).save(tmp_path / "x.tflite")
    assert not list(tmp_path.iterdir())


def test_an_operation_that_tflite_lacks_is_named() -> None:
    model = tiny.around(tf.keras.layers.Lambda(tf.math.erfinv, name="odd"))
    with pytest.raises(ConversionError, match=r"odd/.*became the custom operation Erfinv"):
        convert(model, tiny.spec())


def test_a_refusal_of_the_converter_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: str, **ends: object) -> bytes:
        raise RuntimeError("first line\nmore\nlines")

    monkeypatch.setattr(lce, "convert_saved_model", refuse)
    with pytest.raises(ConversionError, match="cannot convert tiny: first line; ") as error:
        convert(tiny.around(), tiny.spec())
    assert "\n" not in str(error.value)


def test_half_precision_is_refused() -> None:
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = tiny.around()
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    with pytest.raises(ConversionError, match="mixed_float16"):
        convert(model, tiny.spec())


def test_a_model_needs_a_description_that_fits() -> None:
    model = tiny.around()
    with pytest.raises(DataError, match="carries no description"):
        convert(model)
    with pytest.raises(DataError, match="its description says"):
        convert(model, tiny.spec(height=64))


def test_an_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LarqDenseError, match="cannot write"):
        tiny.converted()[1].save(tmp_path / "file" / "x.tflite")


def test_parity_notices_another_network() -> None:
    model, result = tiny.converted()
    other = tiny.around(tf.keras.layers.Conv2D(8, 3, padding="same"))
    measured = parity(other, result.content, tiny.pictures(), tiny.spec())
    assert measured.same_labels < 0.9
    same = parity(model, result.content, tiny.pictures(), tiny.spec())
    assert same == dataclasses.replace(same, images=2)
    assert same.same_labels > 0.99


def test_parity_counts_pixels_of_the_pictures_own_size() -> None:
    _, result = tiny.converted()
    other = tiny.around(tf.keras.layers.Conv2D(8, 3, padding="same"))
    first, second = tiny.pictures()
    measured = [
        parity(other, result.content, [p], tiny.spec()).same_labels for p in (first, second)
    ]
    assert abs(measured[0] - measured[1]) > 0.001
    both = parity(other, result.content, [first, second], tiny.spec())
    sizes = [first.shape[0] * first.shape[1], second.shape[0] * second.shape[1]]
    assert both.same_labels == pytest.approx(np.average(measured, weights=sizes))


def test_parity_without_pictures_is_refused() -> None:
    model, result = tiny.converted()
    with pytest.raises(DataError, match="at least one picture"):
        parity(model, result.content, [], tiny.spec())
