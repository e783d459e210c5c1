"""The recipe: everything that a training needs, read from YAML and checked before anything runs."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from larq_dense.common.errors import RecipeError, within_sentence
from larq_dense.common.extra import needs_extra
from larq_dense.common.files import read_yaml, write_text
from larq_dense.common.images import Preprocessing
from larq_dense.training.run import CLASSES, Run
from larq_dense.training.settings import (
    AugmentationSettings,
    Count,
    DataSettings,
    DistillationSettings,
    InputSettings,
    LossSettings,
    OptimizerSettings,
    Positive,
    Section,
    Side,
    SourceSettings,
    UnlabelledSettings,
)

with needs_extra(__name__):
    import yaml
    from pydantic import Field, ValidationError, model_validator

if TYPE_CHECKING:
    import tensorflow as tf

    from larq_dense.tasks import Sample, Task

Precision = Literal["binary", "float"]
QUANTIZED_EPOCHS = 2
_NAME = re.compile(r"[^\s/\\.][^/\\\x00-\x1f]{0,99}")


class Recipe(Section):
    """One training run.

    Attributes:
        name: The run's or the entry's name.
        task: A task's name, or `"folder"` for the classes of the first training source's
            `classes.yaml`.
        model: Arguments of `larq_dense.models.build` besides the task and the input shape.
        input: The published network's input.
        data: Training and validation sources.
        crop: Rows and columns of a training crop, multiples of 32.
        batch_size: Crops in a step, over all replicas together.
        epochs: Number of epochs; give this or `steps`.
        steps: Number of steps in the whole run.
        steps_per_epoch: Steps between checkpoints; one pass over the data if not given.
        validate_every: Epochs between validations; the last epoch is always validated.
        checkpoint_minutes: Minutes between checkpoints within an epoch.
        early_stop: Stop after this many validations without a better metric.
        augmentation: Random changes to training pictures.
        loss: Terms of the loss.
        optimizer: Learning rates, decay and averaging.
        distillation: A teacher, if there is one.
        seed: Of the initial weights, the order and the augmentation.
        deterministic: Same seed, same machine, same weights, bit for bit; slower.
        bfloat16: Convolve in bfloat16 where the processor has it (oneDNN on x86), which about
            doubles the rate; in the run's validations, too. TensorFlow takes sums and
            normalizations between convolutions along; variables stay float32. Signs are exact in
            it, sums near a threshold are not.
        init: A zoo entry's name, a run's folder or a weights file, whose layers of equal name and
            shape to begin with.
        encoder_weights: ImageNet weights for the encoder to begin with, a file below the data root:
            `.npz` for `efficientnet_lite0`, a quantized classifier's `.tflite` for `mobilenet_v2`.
        recalibrate: Before each validation, set the normalizations' statistics to those of this
            many training pictures at the network's size; 0 for the moving ones, of crops.
        class_offsets: Before each validation, add to the logits of the classes the constants that
            give this many training pictures the best mean IoU; 0 for none. For mIoU only.
        quantize: Train the network's int8 form, which begins with the float weights of `init`.

    Raises:
        RecipeError: By `load` and `from_dict`: a setting is unknown, missing or wrong.

    Examples:
        >>> recipe = Recipe.load("recipe.yaml")
        >>> recipe.crop, recipe.batch_size
        ((32, 32), 2)
        >>> recipe.replace(batch_size=4).batch_size
        4
    """

    name: str
    task: str
    model: dict[str, Any] = Field(default_factory=dict)
    input: InputSettings
    data: DataSettings
    crop: tuple[Side, Side]
    batch_size: Annotated[int, Field(gt=0, le=2**16)] = 16
    epochs: Positive | None = None
    steps: Positive | None = None
    steps_per_epoch: Positive | None = None
    validate_every: Positive = 1
    checkpoint_minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0
    early_stop: Positive | None = None
    augmentation: AugmentationSettings = AugmentationSettings()
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    distillation: DistillationSettings | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    deterministic: bool = False
    bfloat16: bool = True
    init: str | None = None
    encoder_weights: str | None = None
    recalibrate: Count = 0
    class_offsets: Count = 0
    quantize: bool = False

    @model_validator(mode="after")
    def _check_name(self) -> Recipe:
        # What is converted gets it as a file's name.
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name must be one that a file can have, not {self.name[:100]!r}")
        return self

    @model_validator(mode="after")
    def _check_length(self) -> Recipe:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either epochs or steps")
        return self

    @model_validator(mode="after")
    def _check_colors(self) -> Recipe:
        augmentation = self.augmentation
        if self.input.channels != 3:
            for name in ("hue", "saturation", "jpeg"):
                if getattr(augmentation, name):
                    raise ValueError(f"augmentation.{name} needs input.channels of 3, for RGB")
        return self

    @model_validator(mode="after")
    def _check_teacher(self) -> Recipe:
        if self.data.unlabelled and self.distillation is None:
            raise ValueError("data.unlabelled needs distillation, for only a teacher labels it")
        return self

    @model_validator(mode="after")
    def _check_quantize(self) -> Recipe:
        if self.quantize and self.init is None:
            raise ValueError("quantize starts from trained weights; name them as init")
        if self.quantize and self.precision == "float":
            raise ValueError(
                "quantize trains binary networks; `larq-dense convert RUN --int8 --images ...` "
                "takes a trained full-precision one to int8"
            )
        if self.quantize and self.optimizer.freeze_encoder:
            raise ValueError("quantize trains all weights; set optimizer.freeze_encoder to false")
        if self.quantize and self.optimizer.average:
            raise ValueError("quantize keeps no moving average; set optimizer.average to 0")
        return self

    @classmethod
    def from_dict(cls, values: Any, origin: str = "the recipe") -> Recipe:
        """Check a recipe's values.

        Args:
            values: What the YAML file holds.
            origin: Where it came from, for the message.

        Raises:
            RecipeError: A setting is unknown, missing or wrong; the message names it.
        """
        if not isinstance(values, dict):
            raise RecipeError(f"{origin} must hold settings as 'key: value' lines.")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise RecipeError(_sentence(error, origin)) from None

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Read and check a recipe file.

        Raises:
            RecipeError: The file is missing, no YAML, or a setting is wrong.
        """
        return cls.from_dict(read_yaml(path, "the recipe"), f"the recipe {path}")

    def replace(self, **changes: Any) -> Recipe:
        """Return a checked copy with some top-level settings changed."""
        return self.from_dict({**self.to_dict(), **changes})

    def quantized(self, init: str) -> Recipe:
        """Return the recipe that takes this one's trained network to int8.

        Few steps at a low rate: the network is trained already and only learns to live with its
        ranges.

        Args:
            init: A zoo entry's name or a run's folder: the trained weights.
        """
        rate, binary = self.optimizer.learning_rate, self.optimizer.binary_learning_rate
        slow = {"learning_rate": 0.1 * rate, "binary_learning_rate": binary and 0.1 * binary}
        return self.replace(
            quantize=True,
            init=init,
            encoder_weights=None,
            epochs=QUANTIZED_EPOCHS,
            steps=None,
            recalibrate=0,
            optimizer={
                **self.optimizer.model_dump(),
                **slow,
                "average": 0.0,
                "freeze_encoder": False,
            },
            **self._without_teacher(),
        )

    def baseline(self, init: str | None = None) -> Recipe:
        """Return the recipe of the full-precision baseline: the same but for what it begins with.

        Args:
            init: The baseline of what this recipe begins with; or binary weights, its own or those
                that it begins with, to learn what lifting the binarization gives; None for new
                weights.
        """
        model = {**self.model, "precision": "float"}
        return self.replace(model=model, init=init)

    def is_baseline_of(self, other: Recipe) -> bool:
        """Return whether this trains the other's baseline, whatever it begins with.

        One that goes on from binary weights (`goes_on_from`) may have another length and no
        teacher, and then none of the pictures that only a teacher labels.
        """
        changes: dict[str, Any] = {"name": self.name}
        if self.goes_on_from(other):
            length = ("epochs", "steps", "steps_per_epoch")
            changes |= {each: getattr(self, each) for each in length}
            if self.distillation is None:
                changes |= other._without_teacher()
        return self == other.baseline(self.init).replace(**changes)

    def _without_teacher(self) -> dict[str, Any]:
        """Return the settings that drop the teacher, and the pictures that only it labels."""
        return {"distillation": None, "data": {**self.data.model_dump(), "unlabelled": []}}

    def goes_on_from(self, other: Recipe) -> bool:
        """Return whether this begins with the other's own weights, or as the other began."""
        return self.init is not None and self.init in (other.name, other.init)

    def first_difference(self, other: Recipe, settings: Iterable[str]) -> str | None:
        """Return the first of some settings, such as `"input.height"`, that differs in another.

        Args:
            other: Another recipe.
            settings: By path.
        """
        for setting in settings:
            value = operator.attrgetter(setting)
            if value(self) != value(other):
                return setting
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return every setting as JSON-ready values."""
        return self.model_dump(mode="json")

    def dump_yaml(self) -> str:
        """Return every setting, defaults included, as YAML that `load` reads."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    def save(self, path: str | Path) -> None:
        """Write the recipe to `path` atomically."""
        write_text(path, self.dump_yaml())

    @property
    def precision(self) -> Precision:
        """The network's precision, as `larq_dense.models.build` calls it."""
        precision: Precision = self.model.get("precision", "binary")
        return precision

    @property
    def teachers(self) -> tuple[str, ...]:
        """What it learns from, as `distillation` names it: an ensemble, one, or none."""
        return self.distillation.teachers if self.distillation else ()

    @property
    def preprocessing(self) -> Preprocessing:
        """The published network's preprocessing."""
        return Preprocessing.from_dict(self.input.model_dump())

    def get_task(self, root: str | Path | None = None) -> Task:
        """Return the task that the recipe names.

        Args:
            root: For the task `"folder"`: the data root, or a run's folder.

        Raises:
            UnknownNameError: No such task.
            RecipeError: The task is `"folder"` and no root was given.
        """
        from larq_dense import tasks

        if self.task != "folder":
            return tasks.get(self.task)
        if root is None:
            raise RecipeError("task 'folder' takes its classes from a folder: say which.")
        return tasks.from_folder(self.classes_file(root).parent)

    def classes_file(self, root: str | Path) -> Path:
        """Return where the task `"folder"` finds its classes.

        Args:
            root: A run's or an entry's folder, which has its own, or the data root, where the
                first training source has them.
        """
        run = Run(Path(root))
        if run.recipe_file.is_file() and run.classes_file.is_file():
            return run.classes_file
        return run.folder / self.data.train[0].folder / CLASSES

    def build_model(
        self,
        input_shape: tuple[int | None, int | None, int] | None = None,
        precision: Precision | None = None,
        task: Task | None = None,
        imagenet: bool = False,
    ) -> tf.keras.Model:
        """Build the recipe's network with new weights; a quantized one's ranges are empty.

        Args:
            input_shape: (height, width, channels); the recipe's input size if not given, and the
                recipe's channels in any case.
            precision: Instead of the recipe's; the network is not quantized then.
            task: Instead of looking up the recipe's.
            imagenet: Let larq-zoo's encoders begin with ImageNet weights where `model` says so,
                which downloads them: for a training, not for what loads other weights next.

        Raises:
            RecipeError: `model` holds an unknown or wrong setting.
            WeightsError: The ImageNet weights cannot be downloaded.
        """
        from larq_dense import models

        task = task or self.get_task()
        settings = dict(self.model)
        if precision is not None:
            settings["precision"] = precision
        known = models.settings(settings.get("decoder", "fpn"))
        for key in settings:
            if key not in known:
                raise RecipeError(f"model.{key} is not a setting; known: {', '.join(known)}.")
        options = settings.get("encoder_options")
        if not imagenet and isinstance(options, dict) and "imagenet" in options:
            settings["encoder_options"] = {**options, "imagenet": False}
        height, width = (input_shape or (self.input.height, self.input.width))[:2]
        shape = (height, width, self.input.channels)
        try:
            model = models.build(task, input_shape=shape, **settings)
        except (TypeError, ValueError) as error:
            raise RecipeError(f"the recipe's model cannot be built: {error}") from error
        if not self.quantize or precision is not None:
            return model
        from larq_dense.quantization import quantize

        return quantize(model)

    def total_steps(self, samples: int) -> tuple[int, int]:
        """Return the steps of the whole run and of an epoch.

        Args:
            samples: Number of training pictures, repeats included.
        """
        per_epoch = self.steps_per_epoch or max(1, -(-samples // self.batch_size))
        if self.steps is not None:
            return self.steps, min(per_epoch, self.steps)
        assert self.epochs is not None
        return self.epochs * per_epoch, per_epoch

    def read_samples(self, task: Task, root: str | Path, source: SourceSettings) -> list[Sample]:
        """List one source's pictures with their masks.

        Raises:
            DataError: The folder or list is missing, or there is no picture in it.
        """
        from larq_dense.common.errors import DataError

        samples = task.join(root, [source.to_source()])
        if not samples:
            raise DataError(
                f"the split {source.split!r} of {Path(root) / source.folder} has no picture; "
                "name another split or fill the list."
            )
        return list(samples)

    def read_unlabelled(
        self, task: Task, root: str | Path, source: UnlabelledSettings
    ) -> list[Sample]:
        """List one source's pictures, without masks.

        Raises:
            DataError: The folder or list is missing, or there is no picture in it.
        """
        from larq_dense.common.errors import DataError
        from larq_dense.tasks import plain
        from larq_dense.tasks.layouts import PictureFiles, pair
        from larq_dense.tasks.sources import Sample

        folder = Path(root) / source.folder
        if source.split is None:
            pictures = PictureFiles(folder)
            pairs = [pair(pictures, pictures, stem) for stem in pictures.stems]
        else:
            pairs = plain.read_list(folder, source.split)
        if not pairs:
            raise DataError(f"{folder} holds no picture; name a folder of pictures, or a split.")
        found = []
        for each in pairs:
            if each.image is None:
                raise DataError(
                    f"{folder} has no image for {each.stem!r} of its split {source.split!r}."
                )
            found.append(Sample(each.stem, each.image, None, task.own_encoding))
        return found * source.repeat


def _sentence(error: ValidationError, origin: str) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    message = within_sentence(first["msg"])
    if first["type"] == "extra_forbidden":
        return f"{origin} has an unknown setting {key}; check its spelling or remove it."
    if first["type"] == "missing":
        return f"{origin} lacks the setting {key}."
    if not key:
        return f"{origin}: {message}."
    if first["type"] == "string_type":
        # YAML takes names such as 01_02 for numbers.
        message += "; put it in quotes"
    return f"{origin} has a wrong {key}: {message} (got {first['input']!r})."
