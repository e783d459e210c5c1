"""What `larq-dense ablate` compares: variants of a recipe, and hypotheses about them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from larq_dense.common.errors import RecipeError, UnknownNameError, within_sentence
from larq_dense.common.files import read_yaml

METHOD = Path(__file__).with_name("method.yaml")
"""The experiment of the method's own parts."""

Settings = dict[str, Any]
"""Values by the path of a recipe's setting, such as `optimizer.average`."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Variant(_Section):
    """A recipe with a few settings changed.

    Attributes:
        title: What it is, in a few words.
        changes: The settings in which it differs from the recipe.
        first: Further changes for a first stage of half the length, whose weights the second half
            begins with; None for one stage.
    """

    title: str
    changes: Settings = {}
    first: Settings | None = None


class Hypothesis(_Section):
    """A statement that the scores of two variants support or refute.

    Attributes:
        hypothesis: The sentence.
        variant: The variant that should be good.
        against: The variant that it is compared with.
        minimum_gain: The hypothesis is that `variant` scores more than this above `against`.
    """

    hypothesis: str
    variant: str
    against: str
    minimum_gain: float = 0.0


class Experiment(_Section):
    """Variants of a recipe, and hypotheses about their scores.

    Attributes:
        fixed: Settings of all variants, whatever the recipe says.
        variants: By name.
        hypotheses: Written down before any figure is seen.
    """

    fixed: Settings = {}
    variants: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9-]+$")], Variant], Field(min_length=1)
    ]
    hypotheses: list[Hypothesis] = []

    @model_validator(mode="after")
    def _check_hypotheses(self) -> Experiment:
        for hypothesis in self.hypotheses:
            for variant in (hypothesis.variant, hypothesis.against):
                if variant not in self.variants:
                    raise ValueError(
                        f"the hypothesis {hypothesis.hypothesis!r} names no variant: {variant}"
                    )
        return self

    @classmethod
    def load(cls, path: Path = METHOD) -> Experiment:
        """Read and check an experiment's YAML file.

        Raises:
            RecipeError: The file is missing, no YAML, or something in it is wrong.
        """
        try:
            return cls.model_validate(read_yaml(path, "the experiment"))
        except ValidationError as error:
            found = error.errors()[0]
            where = ".".join(map(str, found["loc"]))
            wrong = f"has a wrong {where}" if where else "is wrong"
            message = within_sentence(found["msg"])
            raise RecipeError(f"the experiment {path} {wrong}: {message}.") from None

    def settings(self, variant: str) -> Settings:
        """Return every setting that a variant fixes.

        Raises:
            UnknownNameError: There is no such variant.
        """
        if variant not in self.variants:
            raise UnknownNameError("variant", variant, self.variants)
        return self.fixed | self.variants[variant].changes


def changed(values: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return a recipe's values with some settings changed.

    Args:
        values: Nested, as YAML holds them.
        settings: By path; sections that are missing on the way are made.
    """
    result = copy.deepcopy(dict(values))
    for path, value in settings.items():
        *sections, key = path.split(".")
        _section(result, sections)[key] = value
    return result


def _section(values: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    for name in names:
        if not isinstance(values.get(name), dict):
            values[name] = {}
        values = values[name]
    return values
