"""The sentences of errors."""

import pytest

from larq_dense.common import errors


@pytest.mark.parametrize(
    "kind",
    [
        errors.ConversionError,
        errors.DataError,
        errors.RecipeError,
        errors.UnknownNameError,
        errors.WeightsError,
    ],
)
def test_all_are_a_users_mistake(kind: type[Exception]) -> None:
    assert issubclass(kind, errors.LarqDenseError)


def test_the_nearest_names_are_offered() -> None:
    error = errors.UnknownNameError("zoo entry", "citiscapes", ["cityscapes", "camvid"])
    assert str(error) == "unknown zoo entry 'citiscapes'; did you mean cityscapes?"


def test_all_names_are_listed_where_none_is_near() -> None:
    error = errors.UnknownNameError("task", "x", iter(["b", "a"]))
    assert str(error) == "unknown task 'x'; known: a, b."
