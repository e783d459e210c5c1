import struct

import numpy as np
import pytest
import tiny_models as tiny
from larq_compute_engine.mlir.python import tflite_schema as schema

from larq_dense.runtime.tflite_file import DamagedFileError, TfliteFile


@pytest.fixture(scope="module")
def content() -> bytes:
    return tiny.converted()[1].content


def test_reads_what_tensorflow_lites_own_reader_reads(content: bytes) -> None:
    file = TfliteFile.parse(content)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    graph = model.subgraphs[0]
    assert len(file.operators) == len(graph.operators)
    for operator, expected in zip(file.operators, graph.operators, strict=True):
        code = model.operatorCodes[expected.opcodeIndex]
        assert operator.builtin == max(code.builtinCode, code.deprecatedBuiltinCode)
        assert operator.custom_name == (code.customCode or b"").decode()
        assert bytes(operator.options) == bytes(
            [] if expected.customOptions is None else expected.customOptions
        )
        for tensor, index in zip(operator.inputs, expected.inputs, strict=True):
            if tensor is None:
                assert index == -1
                continue
            theirs = graph.tensors[index]
            assert (tensor.name, tensor.type) == (theirs.name.decode(), theirs.type)
            assert tensor.shape == tuple(theirs.shape)
            data = model.buffers[theirs.buffer].data
            assert bytes(tensor.content) == bytes([] if data is None else data)
    assert [tensor.name for tensor in file.inputs] == [graph.tensors[graph.inputs[0]].name.decode()]
    assert file.outputs[0].shape == (1, tiny.HEIGHT, tiny.WIDTH, 3)
    assert set(file.metadata) == {entry.name.decode() for entry in model.metadata}


def test_a_constant_has_its_values(content: bytes) -> None:
    model, _ = tiny.converted()
    biases = [
        tensor.values
        for operator in TfliteFile.parse(content).operators
        for tensor in operator.inputs
        if tensor is not None and tensor.shape == (32, 3, 3, 3)
    ]
    kernel = model.layers[1].kernel.numpy()
    np.testing.assert_array_equal(biases[0], np.transpose(kernel, (3, 0, 1, 2)))


def test_no_cut_file_is_read_past_its_end(content: bytes) -> None:
    flatbuffer_size = content.index(b"PK\x03\x04")
    for length in range(0, flatbuffer_size, 97):
        with pytest.raises(DamagedFileError):
            TfliteFile.parse(content[:length])


def test_no_damage_causes_another_error(content: bytes) -> None:
    random = np.random.default_rng(0)
    flatbuffer_size = content.index(b"PK\x03\x04")
    found = 0
    for _ in range(300):
        damaged = np.frombuffer(content[:flatbuffer_size], np.uint8).copy()
        places = random.integers(8, flatbuffer_size, 20)
        damaged[places] = random.integers(0, 256, 20)
        try:
            TfliteFile.parse(damaged.tobytes())
        except DamagedFileError:
            found += 1
    assert found > 30


@pytest.mark.parametrize("root", [0, 3, 2**31, 2**32 - 1])
def test_a_wild_root_is_damage(content: bytes, root: int) -> None:
    with pytest.raises(DamagedFileError):
        TfliteFile.parse(struct.pack("<I", root) + content[4:])


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_something_else_is_no_tflite_file(content: bytes) -> None:
    with pytest.raises(DamagedFileError, match="TFL3"):
        TfliteFile.parse(content)
