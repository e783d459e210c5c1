"""Holds a converted file against its Keras model: every binary layer must be binary in it.

LCE's converter silently leaves what it does not recognize in floating point. Names do not tell,
because a fused operation carries the name of its last part; the weights do: an `LceBconv2d` whose
packed filter has the signs of a layer's kernel is that layer.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from larq_dense.common.errors import ConversionError
from larq_dense.conversion.kernels import Key, float_key, layer_key, packed_key
from larq_dense.conversion.operators import operator_name
from larq_dense.models import binary_layers
from larq_dense.runtime.interpreter import LCE_OPERATIONS
from larq_dense.runtime.metadata import parse
from larq_dense.runtime.tflite_file import Operator, TfliteFile


@dataclass(frozen=True)
class AuditedLayer:
    """A layer declared binary and the operation it became.

    Attributes:
        layer: The Keras layer's name, with those of the layers around it.
        output: The operation's output tensor in the file.
        filter_shape: `(out, height, width, in)`.
        bitpacked: Whether its output stays packed, at one bit a value.

    Examples:
        >>> AuditedLayer("conv_0", "conv_0/out", (32, 3, 3, 16), True).bitpacked
        True
    """

    layer: str
    output: str
    filter_shape: tuple[int, ...]
    bitpacked: bool


@dataclass(frozen=True)
class AuditReport:
    """What an audit found in a file that passed it.

    Attributes:
        layers: Every layer declared binary, in the model's order.
        operators: How many operations of each kind the file holds, the most frequent first.

    Examples:
        >>> from pathlib import Path
        >>> from larq_dense import conversion, zoo
        >>> report = conversion.audit(Path("run.tflite").read_bytes(), zoo.load("run"))
        >>> report.operators["LceBconv2d"] == len(report.layers)
        True
    """

    layers: tuple[AuditedLayer, ...]
    operators: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)


def audit(content: bytes, model: Any, int8: bool = False) -> AuditReport:
    """Check that a converted file computes in binary what its model declares binary.

    Args:
        content: The `.tflite` file.
        model: The Keras model it was made from.
        int8: No tensor that is computed may be float, input and output included.

    Returns:
        Where each binary layer went, and what else is in the file.

    Raises:
        ConversionError: A layer declared binary is no `LceBconv2d`, a binary kernel is computed
            in floating point, or the file holds a custom operation that is not LCE's; or, if
            `int8`, a float tensor. The sentence names the layer or the tensor.
        DataError: The file is damaged.

    Examples:
        >>> from pathlib import Path
        >>> from larq_dense import conversion, zoo
        >>> report = conversion.audit(Path("run.tflite").read_bytes(), zoo.load("run"))
        >>> all(layer.filter_shape[0] % 32 == 0 for layer in report.layers)
        True
    """
    file = parse(content, "the converted file")
    _refuse_foreign_operations(file)
    binary = _by_key(file, packed_key)
    stayed_float = _by_key(file, float_key)
    audited = []
    missing = []
    for layer in binary_layers(model):
        name, key = _path(layer), layer_key(layer)
        if binary[key]:
            output = binary[key].pop(0).outputs[0]
            audited.append(AuditedLayer(name, output.name, key[0], output.dtype == "int32"))
        else:
            became = next(map(operator_name, stayed_float[key]), None)
            missing.append((name, became, _fix(layer, became)))
    if missing:
        raise ConversionError(_sentence(missing))
    _refuse_float_kernels([each for operators in stayed_float.values() for each in operators])
    if int8:
        _refuse_float_tensors(file)
    counts = Counter(map(operator_name, file.operators))
    return AuditReport(tuple(audited), dict(counts.most_common()))


def _refuse_foreign_operations(file: TfliteFile) -> None:
    for operator in file.operators:
        if operator.custom_name and operator.custom_name not in LCE_OPERATIONS:
            raise ConversionError(
                f"{operator.outputs[0].name} became the custom operation {operator.custom_name}, "
                "which is not one of Larq Compute Engine's; build it from operations that "
                "TensorFlow Lite has."
            )


def _refuse_float_kernels(operators: list[Operator]) -> None:
    for operator in operators:
        raise ConversionError(
            f"the binary kernel of {operator.outputs[0].name} is computed in floating point, as "
            f"{operator_name(operator)}; use a binary layer that Larq Compute Engine has, or a "
            "float kernel."
        )


def _refuse_float_tensors(file: TfliteFile) -> None:
    found = [(tensor, "the input") for tensor in file.inputs]
    found += [(t, operator_name(each)) for each in file.operators for t in each.outputs]
    wrong = [(t, source) for t, source in found if t.dtype not in ("int8", "int32")]
    for tensor, source in wrong[:1]:
        raise ConversionError(
            f"{len(wrong)} of {len(found)} tensors are neither int8 nor bits, such as "
            f"{tensor.name} ({tensor.dtype}, from {source}); give the layer that makes it a form "
            "in larq_dense.quantization."
        )


def _by_key(
    file: TfliteFile, key_of: Callable[[Operator], Key | None]
) -> defaultdict[Key, list[Operator]]:
    groups: defaultdict[Key, list[Operator]] = defaultdict(list)
    for operator in file.operators:
        key = key_of(operator)
        if key is not None:
            groups[key].append(operator)
    return groups


def _path(layer: Any) -> str:
    """Return a layer's name with those of the layers it is nested in."""
    scope, _, _ = layer.kernel.name.rpartition("/")
    return scope or str(layer.name)


def _fix(layer: Any, became: str | None) -> str:
    """Say what usually keeps LCE from packing a layer that became what it did."""
    if became == "TRANSPOSE_CONV":
        return "use a convolution to factor² times the channels, then depth-to-space"
    if became == "CONV_2D" and layer.groups > 1:
        return "give each group a multiple of 32 input channels"
    if became == "CONV_2D":
        return "binarize input and kernel by a plain sign, such as approx_sign"
    return "use QuantConv2D, the only layer that LCE packs"


def _sentence(missing: list[tuple[str, str | None, str]]) -> str:
    names = [
        f"{name} ({f'a float {became}' if became else 'not found'})" for name, became, _ in missing
    ]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    fixes = "; ".join(sorted({fix for _, _, fix in missing}))
    return (
        f"declared binary, but no LceBconv2d in the converted file: {', '.join(names[:5])}{more}; "
        f"{fixes}."
    )
