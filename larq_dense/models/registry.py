"""Encoders and decoders by name: the package's own and anyone's.

An encoder is a function from the picture to a list of feature maps, from 1/2 of the picture's size
to 1/16 or 1/32, each at half the size of the one before. A decoder is a function from such a list
to logits at the picture's size. Both take their options by keyword, and `precision`.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from larq_dense.common.errors import UnknownNameError

Tensor = Any
Encoder = Callable[..., list[Tensor]]
Decoder = Callable[..., Tensor]

ENCODERS: dict[str, Encoder] = {}
DECODERS: dict[str, Decoder] = {}

# What every one is given, and what no recipe may set.
_GIVEN = {"inputs", "features", "outputs", "precision"}


def register_encoder(name: str) -> Callable[[Encoder], Encoder]:
    """Return a decorator that registers an encoder, for `build_model` and recipes alike.

    The function is called as `encoder(inputs, precision=..., **options)`, where `inputs` is the
    picture, float `[batch, height, width, 3]`, and returns features, float
    `[batch, height / 2^k, width / 2^k, channels]` for k = 1, 2, 3, 4 and, mostly, 5.

    Args:
        name: Its name.

    Returns:
        A decorator, which gives the function back.

    Raises:
        ValueError: The name is another encoder's.

    Examples:
        >>> import tensorflow as tf
        >>> from larq_dense.models import build_model, register_encoder
        >>> @register_encoder("plain")
        ... def plain(inputs, *, precision, filters=16):
        ...     features = [inputs]
        ...     for _ in range(5):
        ...         conv = tf.keras.layers.Conv2D(filters, 3, 2, padding="same")
        ...         features.append(conv(features[-1]))
        ...     return features[1:]
        >>> build_model(3, encoder="plain", input_shape=(32, 32, 3)).output_shape
        (None, 32, 32, 3)
    """
    return _registering("encoder", ENCODERS, name)


def register_decoder(name: str) -> Callable[[Decoder], Decoder]:
    """Return a decorator that registers a decoder, for `build_model` and recipes alike.

    The function is called as `decoder(features, outputs=..., precision=..., **options)`, with an
    encoder's features, and returns logits, float `[batch, height, width, outputs]`. The layer that
    makes them should be called `head` and have a bias, to which class offsets are added.

    Args:
        name: Its name.

    Returns:
        A decorator, which gives the function back.

    Raises:
        ValueError: The name is another decoder's.

    Examples:
        >>> import tensorflow as tf
        >>> from larq_dense.models import build_model, register_decoder
        >>> @register_decoder("last")
        ... def last(features, *, outputs, precision):
        ...     logits = tf.keras.layers.Conv2D(outputs, 1, name="head")(features[-1])
        ...     return tf.keras.layers.UpSampling2D(32, interpolation="bilinear")(logits)
        >>> build_model(3, "compact_s", "last", input_shape=(32, 32, 3)).output_shape
        (None, 32, 32, 3)
    """
    return _registering("decoder", DECODERS, name)


def _registering(kind: str, known: dict[str, Any], name: str) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        if name in known and not _is_again(known[name], function):
            raise ValueError(f"there is an {kind} {name} already; choose another name.")
        known[name] = function
        return function

    return register


def _is_again(old: Any, new: Any) -> bool:
    """Whether a notebook's cell is run once more."""
    names = [(getattr(f, "__module__", None), getattr(f, "__qualname__", None)) for f in (old, new)]
    return names[0] == names[1] and names[0][1] is not None


def get_encoder(name: str) -> Encoder:
    """Return the encoder of that name.

    Raises:
        UnknownNameError: There is none.
    """
    return _get("encoder", ENCODERS, name)


def get_decoder(name: str) -> Decoder:
    """Return the decoder of that name.

    Raises:
        UnknownNameError: There is none.
    """
    return _get("decoder", DECODERS, name)


def _get(kind: str, known: Mapping[str, Any], name: str) -> Any:
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return known[name]


def options_of(function: Encoder | Decoder) -> list[str]:
    """Return the names of an encoder's or a decoder's options."""
    return sorted({*inspect.signature(function).parameters} - _GIVEN)


def check_options(kind: str, name: str, function: Any, options: Mapping[str, Any]) -> None:
    """Refuse an option that an encoder or a decoder does not have.

    Raises:
        TypeError: The sentence names the option and those that there are.
    """
    known = options_of(function)
    for key in options:
        if key not in known:
            raise TypeError(
                f"the {kind} {name} has no option {key}; it has {', '.join(known) or 'none'}."
            )
