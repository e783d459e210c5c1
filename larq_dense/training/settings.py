"""The sections of a recipe: their settings, ranges and defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from larq_dense.common.extra import needs_extra
from larq_dense.common.images import CHANNELS, Fit

with needs_extra(__name__):
    from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from larq_dense.tasks import DataSource

# TensorFlow counts no further, and no memory holds larger pictures or longer lists.
_MOST = 2**31 - 1
Positive = Annotated[int, Field(gt=0, le=_MOST)]
Count = Annotated[int, Field(ge=0, le=_MOST)]
Side = Annotated[int, Field(gt=0, le=2**14, multiple_of=32)]
Repeat = Annotated[int, Field(gt=0, le=1000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A part of a recipe: settings that do not change, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSettings(Section):
    """The published network's input: a picture is resized to it, then normalized.

    Attributes:
        height: Rows, a multiple of 32.
        width: Columns, a multiple of 32.
        channels: 3 for RGB, 1 for grey, 4 for the four channels of PNG or TIFF files.
        mean: Subtracted from each channel (0…255); 127.5 if not given.
        std: Divided by afterwards (0…255); 127.5 if not given.
        fit: `"stretch"` resizes a picture to the input, whatever its shape; `"letterbox"` keeps
            its shape, in the middle of black.
    """

    height: Side
    width: Side
    channels: Literal[1, 3, 4] = 3
    mean: tuple[Finite, ...] = (127.5, 127.5, 127.5)
    std: tuple[Rate, ...] = (127.5, 127.5, 127.5)
    fit: Fit = "stretch"

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("channels", 3) in CHANNELS:
            each = (127.5,) * values.get("channels", 3)
            return {"mean": each, "std": each, **values}
        return values

    @model_validator(mode="after")
    def _check_channels(self) -> InputSettings:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.channels:
                raise ValueError(f"{name} needs {self.channels} values, one a channel")
        return self


class SourceSettings(Section):
    """One data set's split.

    Attributes:
        folder: Folder below the data root.
        split: Name of the split list.
        labels: Encoding of the masks, where the task cannot tell it from the folder.
        within: A further list of stems; only pictures on both lists are used.
        repeat: How often each picture counts in one pass.
    """

    folder: str
    split: str
    labels: str | None = None
    within: str | None = None
    repeat: Repeat = 1

    @property
    def title(self) -> str:
        """How logs and reports name the source."""
        return f"{self.folder}/{self.split}" + (f"/{self.within}" if self.within else "")

    def to_source(self) -> DataSource:
        """Return the task's own form of this source."""
        from larq_dense.tasks import DataSource

        return DataSource(**self.model_dump())


class UnlabelledSettings(Section):
    """Pictures that only a teacher labels.

    Attributes:
        folder: Folder of pictures below the data root; with `split`, one that holds `images/` and
            lists.
        split: Name of the split list.
        repeat: How often each picture counts in one pass.
    """

    folder: str
    split: str | None = None
    repeat: Repeat = 1


class DataSettings(Section):
    """What is trained and validated on.

    Attributes:
        train: Sources joined for training.
        unlabelled: Further pictures for training, whose masks are not read; they need
            `distillation`.
        validation: Sources validated one by one; the best weights are those with the highest
            mean of the task's main metric over them.
        test: Sources that publishing measures on, once. No training reads them.
        longest_side: Training pictures are kept in memory at most this large, in pixels.
        validation_limit: At most this many pictures of each validation source, evenly spaced
            over it.
    """

    train: Annotated[list[SourceSettings], Field(min_length=1)]
    unlabelled: list[UnlabelledSettings] = []
    validation: Annotated[list[SourceSettings], Field(min_length=1)]
    test: list[SourceSettings] = []
    longest_side: Positive | None = None
    validation_limit: Positive | None = None

    @property
    def measured(self) -> list[SourceSettings]:
        """The sources that publishing measures on: validation, then test."""
        return [*self.validation, *self.test]

    @model_validator(mode="after")
    def _check_test(self) -> DataSettings:
        used = {(source.folder, source.split) for source in (*self.train, *self.validation)}
        for source in self.test:
            if (source.folder, source.split) in used:
                raise ValueError(
                    f"test names {source.folder}, {source.split}, which train or validation reads; "
                    "a test set is kept apart"
                )
        return self


class AugmentationSettings(Section):
    """Random changes to training pictures.

    Attributes:
        scale: Range of the zoom on the picture at the network's input size, drawn evenly on a
            logarithmic scale.
        aspect: Range of the stretch of width against height, drawn likewise.
        flip: Mirror every second picture from left to right.
        vertical_flip: Turn every second picture upside down, for pictures from above.
        brightness: Largest shift, as a share of 255.
        contrast: Largest relative change.
        rotation: Largest turn either way, in degrees, as the network sees the picture.
        hue: Largest shift of the hue either way, as a share of the circle of colours.
        saturation: Largest relative change.
        blur: Largest sigma of a Gaussian blur, in pixels of the crop.
        noise: Largest standard deviation of Gaussian noise, which a sensor adds in poor light, as a
            share of 255.
        jpeg: Lowest quality, 1 to 100, of a compression as JPEG; none if not given.
    """

    scale: tuple[Factor, Factor] = (0.75, 1.5)
    aspect: tuple[Factor, Factor] = (0.9, 1.1)
    flip: bool = True
    vertical_flip: bool = False
    brightness: Share = 0.15
    contrast: Share = 0.2
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    saturation: Share = 0.0
    blur: Annotated[float, Field(ge=0, le=10)] = 0.0
    noise: Share = 0.0
    jpeg: Annotated[int, Field(ge=1, le=100)] | None = None

    @property
    def like_a_camera(self) -> bool:
        """Whether colours, sharpness, noise or compression change."""
        return bool(self.hue or self.saturation or self.blur or self.noise or self.jpeg)

    @model_validator(mode="after")
    def _check_ranges(self) -> AugmentationSettings:
        for name in ("scale", "aspect"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} [{low}, {high}] runs backwards")
        return self


class LossSettings(Section):
    """The loss: cross-entropy for label maps, binary cross-entropy for saliency, and more terms.

    Attributes:
        class_weights: `"log"` weighs class c by 1 / log(1.02 + share of c's pixels) (ENet,
            arXiv 1606.02147), `"none"` weighs all equally, and a list gives each class its own
            weight. Label maps only.
        weight_cap: Largest class weight, as a multiple of the smallest; not for a list.
        focal: Exponent of the focal loss (Lin et al., arXiv 1708.02002): the cross-entropy of a
            pixel whose true class has probability p counts (1 - p) to this power; 0 for plain
            cross-entropy.
        tversky: Weight of the Tversky term (Salehi et al., arXiv 1706.05721). Label maps only.
        tversky_alpha: What a false positive counts in it; a missed pixel counts 1 less this. 0.5
            makes it the Dice term, less than 0.5 asks for recall.
        dice: Weight of the soft Dice term. Label maps only.
        lovasz: Weight of the Lovász-softmax term. Label maps only.
        iou: Weight of the soft intersection-over-union term. Saliency only.
        label_smoothing: Share of each pixel's label that the cross-entropy spreads evenly over all
            classes.
    """

    class_weights: Literal["log", "none"] | Annotated[list[Weight], Field(min_length=2)] = "log"
    weight_cap: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 10.0
    dice: Weight = 0.0
    lovasz: Weight = 0.0
    iou: Weight = 1.0
    label_smoothing: Share = 0.0
    focal: Weight = 0.0
    tversky: Weight = 0.0
    tversky_alpha: Annotated[float, Field(ge=0, le=1)] = 0.3

    @model_validator(mode="after")
    def _check_weights(self) -> LossSettings:
        if isinstance(self.class_weights, list) and not any(self.class_weights):
            raise ValueError("class_weights are all 0, so that nothing would be learned")
        return self


class DistillationSettings(Section):
    """Learning from a trained network besides the labels, on every pixel of the pictures.

    Adds weight · T² · KL(teacher ‖ student) of the class probabilities at temperature T (Hinton,
    Vinyals, Dean, arXiv 1503.02531), a mean over the pixels.

    Attributes:
        teacher: A zoo entry's name or a run's folder, of the same classes. It sees the crops as
            they are, normalized in its own way.
        ensemble: Further teachers, likewise; the class probabilities at temperature T are the mean
            of all teachers'. `features` and `encoder` compare with the first teacher alone.
        weight: Of the term.
        features: Weight of a second term: the distance of the maps of energy of the decoder's four
            stages (Zagoruyko, Komodakis, arXiv 1612.03928).
        encoder: Weight of a third term: 1 - CKA (Kornblith et al., arXiv 1905.00414) of the
            encoders' features, channels brought to variance 1, at each of 1/8, 1/16 and 1/32 of
            the picture's size that both have. The encoders may be of different kinds, so that a
            binary one learns what one with ImageNet weights has seen.
        temperature: T; above 1, what the teacher holds for less probable counts for more.
    """

    teacher: str
    ensemble: tuple[str, ...] = ()
    weight: Weight = 1.0
    features: Weight = 0.0
    encoder: Weight = 0.0
    temperature: Factor = 2.0

    @property
    def teachers(self) -> tuple[str, ...]:
        """The teacher, then the rest of the ensemble."""
        return (self.teacher, *self.ensemble)


class OptimizerSettings(Section):
    """Adam for binary kernels and AdamW for the rest, both with warm-up and cosine decay.

    Attributes:
        learning_rate: Peak for the real-valued variables.
        binary_learning_rate: Peak for the latent binary kernels; as `learning_rate` if not given.
        warmup: Share of all steps in which the rates rise from 0.
        final: Rates at the end, as a share of their peaks.
        weight_decay: Decoupled decay of the real-valued kernels, times the learning rate.
        clip: Largest magnitude of latent binary kernels, at most 1: beyond that the sign's
            gradient estimator is 0 and a latent weight would be lost.
        average: Decay, at each step, of a moving average of all but the latent binary kernels,
            which is then what is validated and kept as the best weights; 0 for none.
        freeze_encoder: Leave the encoder as it begins, statistics of its normalizations included;
            for a run that begins with trained weights (`init` or `encoder_weights`).
    """

    learning_rate: Rate = 2e-3
    binary_learning_rate: Rate | None = None
    warmup: Share = 0.03
    final: Share = 0.0
    weight_decay: Weight = 0.01
    clip: Annotated[float, Field(gt=0, le=1)] = 1.0
    average: Share = 0.0
    freeze_encoder: bool = False
