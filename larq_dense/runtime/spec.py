"""What a model is for and how pictures go in and out: kept with every model and every file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError
from larq_dense.common.images import Preprocessing

Kind = Literal["segmentation", "saliency"]


@dataclass(frozen=True)
class SpecClass:
    """One class of a label map.

    Attributes:
        name: What a person calls it.
        color: RGB, each 0…255; black leaves the picture as it is in an overlay.

    Examples:
        >>> SpecClass("crack", (255, 80, 0)).name
        'crack'
    """

    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True)
class ModelSpec:
    """Everything that prediction needs besides the network.

    Attributes:
        name: The model's name, such as a zoo entry's.
        task: The task's name.
        kind: `"segmentation"` (soft-max over the classes) or `"saliency"` (one sigmoid output:
            the probability of the second class).
        classes: The label map's classes in the order of their ids.
        preprocessing: How a picture becomes the network's input.
        description: A sentence for people, such as what the weights were trained on.

    Raises:
        DataError: The kind is unknown, or the number of classes does not suit it.

    Examples:
        >>> classes = SpecClass("background", (0, 0, 0)), SpecClass("crack", (255, 80, 0))
        >>> size = Preprocessing(height=224, width=320)
        >>> spec = ModelSpec("cracks", "cracks", "segmentation", classes, size)
        >>> spec.num_outputs, spec.palette.shape
        (2, (2, 3))
    """

    name: str
    task: str
    kind: Kind
    classes: tuple[SpecClass, ...]
    preprocessing: Preprocessing
    description: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("segmentation", "saliency"):
            raise DataError(f"a model's kind is segmentation or saliency, not {self.kind!r}.")
        if self.kind == "saliency" and len(self.classes) != 2:
            raise DataError(f"a saliency model has 2 classes, not {len(self.classes)}.")
        if not self.classes:
            raise DataError("a model needs at least one class.")

    @classmethod
    def for_task(
        cls, name: str, task: Any, preprocessing: Preprocessing, description: str = ""
    ) -> "ModelSpec":
        """Describe a model of a task (anything with `name`, `kind` and `classes`)."""
        classes = tuple(SpecClass(each.name, _color(each.color)) for each in task.classes)
        return cls(name, task.name, task.kind, classes, preprocessing, description)

    @property
    def num_outputs(self) -> int:
        """Channels of the logits: 1 for saliency, else one for each class."""
        return 1 if self.kind == "saliency" else len(self.classes)

    @property
    def palette(self) -> NDArray[np.uint8]:
        """The classes' colours, uint8 `[classes, 3]`."""
        return np.array([each.color for each in self.classes], np.uint8)

    @property
    def class_names(self) -> list[str]:
        """The classes' names in the order of their ids."""
        return [each.name for each in self.classes]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "name": self.name,
            "task": self.task,
            "kind": self.kind,
            "classes": [{"name": each.name, "color": list(each.color)} for each in self.classes],
            "preprocessing": self.preprocessing.to_dict(),
            "description": self.description,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelSpec":
        """Rebuild from `to_dict`'s values.

        Raises:
            DataError: A value is missing or of the wrong type.
        """
        try:
            return cls(
                name=str(values["name"]),
                task=str(values["task"]),
                kind=values["kind"],
                classes=tuple(
                    SpecClass(str(each["name"]), _color(each["color"]))
                    for each in values["classes"]
                ),
                preprocessing=Preprocessing.from_dict(values["preprocessing"]),
                description=str(values.get("description", "")),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(
                f"a model's description is incomplete or damaged: {error!r}."
            ) from error


def _color(values: Any) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in values)
    return red, green, blue
