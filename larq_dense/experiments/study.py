"""What `larq-dense ablate` compares: arms that differ in a few settings, and claims about them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from larq_dense.common.errors import RecipeError, UnknownNameError, within_sentence
from larq_dense.common.files import read_yaml

METHOD = Path(__file__).with_name("method.yaml")
"""The study of the method's own parts."""

Settings = dict[str, Any]
"""Values by the path of a recipe's setting, such as `optimizer.average`."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Arm(_Section):
    """One training of the comparison.

    Attributes:
        title: What it is, in a few words.
        changes: The settings in which it differs from the recipe.
        first: Further changes for a first stage of half the length, whose weights the second half
            begins with; None for one stage.
    """

    title: str
    changes: Settings = {}
    first: Settings | None = None


class Claim(_Section):
    """What a pair of arms decides.

    Attributes:
        claim: The sentence.
        arm: The arm that should be good.
        against: The arm that it is held against.
        least: The claim is that `arm` scores more than this above `against`.
    """

    claim: str
    arm: str
    against: str
    least: float = 0.0


class Study(_Section):
    """Arms, and the claims that they decide.

    Attributes:
        settled: Settings of all arms, whatever the recipe says.
        arms: By name.
        claims: Written down before any figure is seen.
    """

    settled: Settings = {}
    arms: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z0-9-]+$")], Arm], Field(min_length=1)]
    claims: list[Claim] = []

    @model_validator(mode="after")
    def _check_claims(self) -> Study:
        for claim in self.claims:
            for arm in (claim.arm, claim.against):
                if arm not in self.arms:
                    raise ValueError(f"the claim {claim.claim!r} names no arm: {arm}")
        return self

    @classmethod
    def load(cls, path: Path = METHOD) -> Study:
        """Read and check a study's YAML file.

        Raises:
            RecipeError: The file is missing, no YAML, or something in it is wrong.
        """
        try:
            return cls.model_validate(read_yaml(path, "the study"))
        except ValidationError as error:
            found = error.errors()[0]
            where = ".".join(map(str, found["loc"]))
            wrong = f"has a wrong {where}" if where else "is wrong"
            message = within_sentence(found["msg"])
            raise RecipeError(f"the study {path} {wrong}: {message}.") from None

    def settings(self, arm: str) -> Settings:
        """Return all that an arm settles.

        Raises:
            UnknownNameError: There is no such arm.
        """
        if arm not in self.arms:
            raise UnknownNameError("arm", arm, self.arms)
        return self.settled | self.arms[arm].changes


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
