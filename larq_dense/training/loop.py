"""The training loop: steps, validation, checkpoints, logs, resume."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypedDict

from larq_dense.common.errors import LarqDenseError, RecipeError
from larq_dense.common.files import write_bytes, write_json
from larq_dense.common.keras2 import tf
from larq_dense.common.machine import processor
from larq_dense.models.weights import save_weights
from larq_dense.training.checkpoint import Progress, read_progress
from larq_dense.training.distribution import Distribution
from larq_dense.training.exclusive import alone_in
from larq_dense.training.initial import find_weights
from larq_dense.training.logs import CsvLog, ProgressLine, TensorBoardLog
from larq_dense.training.recipe import Recipe
from larq_dense.training.record import record
from larq_dense.training.run import FindRun, Run, find_run
from larq_dense.training.session import Session, load_data

BFLOAT16 = {"avx512_bf16", "amx_bf16"}
"""The instruction sets that compute in it, as Linux spells them."""


_LENGTH = ("epochs", "steps")
"""What may change between two sessions: a finished run is trained for longer."""


class Result(TypedDict):
    """What a training reached; JSON-ready.

    Attributes:
        run: The run's folder.
        steps: Steps done.
        score: Mean of the task's main metric over the validation sources, of the best weights; None
            before the first validation.
        best_epoch: Epoch, from 1, after which they were validated; 0 is before training.
        metrics: Their metrics by validation source.
        stopped_early: Whether the training ended before its last step.
        seconds: Time spent on training and validation, over all sessions.

    Examples:
        >>> from larq_dense import training
        >>> recipe = training.Recipe.load("recipe.yaml")
        >>> result = training.train(recipe, ".", "runs/mine", progress=False)  # or resumes
        >>> list(result["metrics"])
        ['cracks/val']
    """

    run: str
    steps: int
    score: float | None
    best_epoch: int | None
    metrics: dict[str, dict[str, float]]
    stopped_early: bool
    seconds: float


class Interrupted(KeyboardInterrupt):
    """The user pressed Ctrl-C or a scheduler sent SIGTERM.

    The message says what is saved and how to resume.

    Attributes:
        exit_code: What a shell reports of a process that the signal ended.

    Args:
        message: What is saved, and how to resume.
        number: The signal's number.

    Examples:
        >>> Interrupted("stopped after step 10; run it again to resume.").exit_code
        130
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        """Make it from its message and the signal's number."""
        super().__init__(message)
        self.exit_code = 128 + number


class _Stop:
    """Whether a signal asked the training to stop, and which."""

    number: int | None = None


def train(
    recipe: Recipe,
    data_root: str | Path,
    run_dir: str | Path,
    *,
    resume: bool = True,
    distribute: str | None = None,
    progress: bool = True,
    find: FindRun = find_run,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
) -> Result:
    """Train a recipe's model, or resume a run that was stopped.

    Args:
        recipe: What to train.
        data_root: Folder that holds the recipe's source folders.
        run_dir: Folder for `recipe.yaml`, `log.csv`, `tensorboard/`, `checkpoint/`,
            `best.safetensors` and `metrics.json`; made if missing. Several workers share it.
        resume: Resume from the folder's checkpoint if there is one; otherwise a folder that
            holds a run is an error.
        distribute: None, `"mirrored"` or `"multiworker"`.
        progress: Print the recipe, a line for each epoch and, on a terminal, a progress line
            to standard error.
        find: Finds the runs that the recipe names as `init` and as its teacher, by their folders;
            `larq_dense.zoo.find_trained` finds entries of the zoo, too.
        callbacks: Keras callbacks, told of every epoch (from 0) and batch. They get `loss`; after
            an epoch also `learning_rate` and, where it was validated, the score as `val_` and the
            task's main metric, such as `val_miou`. `model.stop_training` ends the run after the
            epoch. The model is the one that learns, and is not compiled.

    Returns:
        What the best weights reach.

    Raises:
        LarqDenseError: Data, recipe, checkpoint or folder are not what they should be, another
            process trains there, or the loss is no longer a number.
        Interrupted: The user pressed Ctrl-C, or a scheduler sent SIGTERM.

    Examples:
        >>> from larq_dense import training, zoo
        >>> recipe = training.Recipe.load("recipe.yaml")
        >>> result = training.train(
        ...     recipe, ".", "runs/mine", progress=False, find=zoo.find_trained
        ... )
        >>> result["steps"], 0 <= result["score"] <= 1
        (1, True)
    """
    # Workers must find each other before TensorFlow has run anything.
    distribution = Distribution(distribute, recipe.batch_size)
    data_root, run = Path(data_root), Run(Path(run_dir))
    alone = alone_in(run.folder) if distribution.is_chief else nullcontext()
    with _handling({signal.SIGTERM: _terminate}), alone:
        state = _open_run(recipe, run, resume, distribution)
        if not state.finished:
            tf.keras.utils.set_random_seed(recipe.seed)
            if recipe.deterministic:
                tf.config.experimental.enable_op_determinism()
            with _convolving_in_bfloat16(recipe.bfloat16), _within_memory(recipe):
                loop = _Loop(recipe, data_root, run, distribution, state, progress, find)
                loop.go(callbacks)
    return {
        "run": str(run.folder),
        "steps": state.step,
        "score": state.best,
        "best_epoch": state.best_epoch,
        "metrics": {name: r["metrics"] for name, r in state.best_results.items()},
        "stopped_early": state.stopped_early,
        "seconds": round(state.seconds, 1),
    }


def _open_run(recipe: Recipe, run: Run, resume: bool, distribution: Distribution) -> Progress:
    """Make a run's folder, or check that it holds a run of this recipe."""
    state = read_progress(run.folder)
    if state is None:
        # Without a checkpoint there is nothing to resume from, and all would be overwritten.
        for kept in run.folder.glob("*.safetensors"):
            raise LarqDenseError(
                f"{run.folder} holds {kept.name}, but no checkpoint to resume from; name another "
                "folder, or remove that file."
            )
        if distribution.is_chief:
            _write_recipe(recipe, run)
        return Progress()
    if not resume:
        raise LarqDenseError(f"{run.folder} already holds a run; remove it or name another folder.")
    new, old = recipe.to_dict(), run.recipe().to_dict()
    longer = state.finished and _total(recipe, state) > state.step
    for key in new:
        lengthened = longer and key in _LENGTH and None not in (new[key], old[key])
        if new[key] != old[key] and not lengthened:
            raise RecipeError(
                f"{run.folder} holds a run of another recipe ({key}: {old[key]} there, {new[key]} "
                f"now); name another folder, or resume with {run.recipe_file}."
            )
    if longer and (new != old or not state.stopped_early):
        state.finished = state.stopped_early = False
        state.waited = 0
        if distribution.is_chief:
            recipe.save(run.recipe_file)
    return state


def _write_recipe(recipe: Recipe, run: Run) -> None:
    """Write a new run's recipe, but not over one that a person wrote."""
    path = run.recipe_file
    if path.is_file():
        there = Recipe.load(path)
        if there == recipe:
            return
        if path.read_text(encoding="utf-8") != there.dump_yaml():
            raise LarqDenseError(
                f"{path} is a recipe of your own, which the run's would replace; name another "
                "folder for the run."
            )
    recipe.save(path)


def _total(recipe: Recipe, state: Progress) -> int:
    return recipe.total_steps(state.positions)[0] if state.positions else 0


class _Loop:
    """Takes a session from a run's state to its end."""

    def __init__(
        self,
        recipe: Recipe,
        data_root: Path,
        run: Run,
        distribution: Distribution,
        state: Progress,
        shown: bool,
        find: FindRun,
    ) -> None:
        self._recipe, self._run, self._state = recipe, run, state
        self._distribution = distribution
        task = recipe.get_task(data_root)
        if recipe.task == "folder" and distribution.is_chief:
            # The run's weights stay usable without the data.
            write_bytes(run.classes_file, recipe.classes_file(data_root).read_bytes())
        # Decoding the pictures takes a while; what is missing is told before.
        if recipe.class_offsets and task.main_metric != "miou":
            raise RecipeError(
                f"class_offsets are chosen for miou, but {task.name} is measured by "
                f"{task.main_metric}; set it to 0."
            )
        if recipe.optimizer.freeze_encoder and not (recipe.init or recipe.encoder_weights):
            raise RecipeError(
                "optimizer.freeze_encoder keeps what the encoder begins with; name trained weights "
                "as init or encoder_weights."
            )
        for teacher in recipe.teachers:
            find(teacher).weights()
        if recipe.init and not state.step:
            find_weights(recipe.init, find)
        data = load_data(recipe, task, data_root)
        if state.positions not in (None, data.positions):
            raise LarqDenseError(
                f"the training sources hold {data.positions} pictures now, and held "
                f"{state.positions} when {run.folder} began; restore them, or name another folder."
            )
        state.positions = data.positions
        if distribution.is_chief and not state.step:
            write_json(run.read_file, record(recipe, task, data_root, find))
        self._total, self._per_epoch = recipe.total_steps(data.positions)
        self._epochs = math.ceil(self._total / self._per_epoch)
        shown = shown and distribution.is_chief
        self._line = ProgressLine(self._total, state.step, shown, self._per_epoch)
        self._line.print(recipe.dump_yaml())
        self._line.print(
            f"{len(data.training)} training pictures, {self._total} steps of "
            f"{recipe.batch_size} crops, {self._per_epoch} steps an epoch"
        )
        self._session = Session(recipe, task, data, distribution, self._total, find)
        if state.step:
            self._session.restore(run.folder)
            self._line.print(f"resumes after step {state.step}")
        else:
            self._begin(data_root)
        self._metric = task.main_metric
        columns = ["epoch", "step", "loss", "learning_rate", "images_per_second", "seconds"]
        columns += [f"{self._metric} {title}" for title in data.validation] + ["score"]
        self._csv = CsvLog(run.log, columns, state.step)
        self._tensorboard: TensorBoardLog | None = None
        if distribution.is_chief:
            self._tensorboard = TensorBoardLog(run.tensorboard)
        self._stop = _Stop()
        self._began, self._seconds_before = time.perf_counter(), state.seconds

    def _begin(self, data_root: Path) -> None:
        """Load what the recipe's new weights begin with."""
        if self._recipe.init:
            self._line.print(self._session.initialize(self._recipe.init))
        if self._recipe.encoder_weights:
            path = data_root / self._recipe.encoder_weights
            self._line.print(self._session.initialize_encoder(path))

    def go(self, callbacks: Sequence[tf.keras.callbacks.Callback]) -> None:
        """Train to the end."""
        if self._distribution.agree(self._state.step) != self._state.step:
            raise LarqDenseError(
                f"the workers do not see the same {self._run.folder}; give them a shared folder."
            )
        with _on_interrupt(self._stop), self._line, closing(self._session):
            if self._state.step == 0:
                # Best weights never lie in a folder without a checkpoint.
                self._session.save(self._run.folder, self._state)
            if self._recipe.quantize and self._state.best is None:
                # Rounding alone may cost so little that training only makes it worse.
                score = self._validate(0)["score"]
                self._line.print(f"before training: {self._metric} {score:.4f}")
            losses = self._session.losses(self._state.step)
            told = tf.keras.callbacks.CallbackList(
                list(callbacks),
                model=self._session.model,
                epochs=self._epochs,
                steps=self._per_epoch,
            )
            told.on_train_begin()
            while not self._state.finished:
                self._epoch(losses, told)
            told.on_train_end()

    def _epoch(self, losses: Iterator[float], told: tf.keras.callbacks.CallbackList) -> None:
        """Train to the end of an epoch, validate if due, log and save."""
        state = self._state
        number = state.step // self._per_epoch + 1
        end = min(number * self._per_epoch, self._total)
        told.on_epoch_begin(number - 1)
        speed = self._steps(losses, end, f"epoch {number}/{self._epochs}", told)
        row = {
            "epoch": number,
            "step": end,
            "loss": state.loss,
            "learning_rate": self._session.learning_rate,
            "images_per_second": round(speed, 2),
        }
        if number % self._recipe.validate_every == 0 or end == self._total:
            row |= self._validate(number)
        state.loss_sum, state.loss_count = 0.0, 0
        state.seconds = self._seconds()
        logs = {key: row[key] for key in ("loss", "learning_rate")}
        if "score" in row:
            logs[f"val_{self._metric}"] = row["score"]
        told.on_epoch_end(number - 1, logs)
        state.finished = state.finished or end == self._total
        if self._session.model.stop_training and not state.finished:
            state.finished = state.stopped_early = True
            if "score" not in row:
                row |= self._validate(number)
        self._log(row | {"seconds": round(state.seconds, 1)})
        self._session.save(self._run.folder, state)
        if self._stop.number and not state.finished:
            raise self._interrupted()

    def _steps(
        self,
        losses: Iterator[float],
        end: int,
        title: str,
        told: tf.keras.callbacks.CallbackList,
    ) -> float:
        """Train up to step `end`, with checkpoints by time; returns images a second."""
        state = self._state
        first, began = state.step, time.perf_counter()
        saved = began
        while True:
            position = state.step % self._per_epoch
            told.on_train_batch_begin(position)
            loss = next(losses)
            self._take(loss)
            told.on_train_batch_end(position, {"loss": loss})
            now = time.perf_counter()
            speed = (state.step - first) * self._recipe.batch_size / (now - began)
            self._line.update(state, title, speed)
            if state.step == end:
                return speed
            # Saving needs all workers at once; only the end of an epoch is sure to have them.
            alone = self._distribution.workers == 1
            due = now - saved >= 60 * self._recipe.checkpoint_minutes
            if alone and (due or self._stop.number):
                state.seconds = self._seconds()
                self._session.save(self._run.folder, state)
                saved = time.perf_counter()
            if self._stop.number:
                raise self._interrupted()

    def _seconds(self) -> float:
        """Return the run's time over all sessions."""
        return self._seconds_before + time.perf_counter() - self._began

    def _take(self, loss: float) -> None:
        state = self._state
        state.step += 1
        if not math.isfinite(loss):
            raise RecipeError(
                f"the loss is no longer a number at step {state.step}; lower "
                "optimizer.learning_rate or raise optimizer.warmup, and train in a new folder."
            )
        state.loss_sum += loss
        state.loss_count += 1

    def _validate(self, epoch: int) -> dict[str, float]:
        """Measure, keep the best weights, decide on an early stop; returns the log's columns."""
        state, session = self._state, self._session
        model = session.copy_to_plain()
        results = session.validator()
        score = self._distribution.agree(session.validator.score(results))
        if state.best is None or score > state.best:
            state.best, state.best_epoch, state.best_results = score, epoch, results
            state.waited = 0
            if self._distribution.is_chief:
                save_weights(model, self._run.best, unpacked=True)
                report = {"epoch": epoch, "step": state.step, "score": score, "sources": results}
                write_json(self._run.metrics_file, report)
        else:
            state.waited += 1
            if self._recipe.early_stop and state.waited >= self._recipe.early_stop:
                state.finished = state.stopped_early = True
        scores = {f"{self._metric} {t}": r["metrics"][self._metric] for t, r in results.items()}
        return {**scores, "score": score}

    def _log(self, row: dict[str, float]) -> None:
        if self._tensorboard is None:
            return
        self._csv.add(row)
        self._tensorboard.add(self._state.step, row)
        text = f"epoch {row['epoch']}/{self._epochs}  loss {row['loss']:.4f}"
        text += f"  {row['images_per_second']:.1f} images/s"
        if "score" in row:
            names = [name for name in row if name.startswith(f"{self._metric} ")]
            text += "".join(f"  {name} {row[name]:.4f}" for name in names)
            text += f"  best {self._state.best:.4f} (epoch {self._state.best_epoch})"
        self._line.print(f"{text}  left {self._line.time_left(self._state.step)}")
        if self._state.stopped_early:
            self._line.print(f"stops early, after {self._state.waited} validations without gain")

    def _interrupted(self) -> Interrupted:
        saved = read_progress(self._run.folder)
        step = saved.step if saved else 0
        return Interrupted(
            f"stopped; {self._run.folder} is saved up to step {step} of {self._total}, and the "
            "same command resumes from there.",
            self._stop.number or signal.SIGINT,
        )


@contextmanager
def _convolving_in_bfloat16(chosen: bool) -> Iterator[None]:
    """Convolve in bfloat16 or not, and afterwards as before: the whole process has one setting."""
    options, key = tf.config.optimizer, "auto_mixed_precision_onednn_bfloat16"
    before = options.get_experimental_options().get(key, False)
    # Without such instructions TensorFlow would go on with much slower code.
    _, instruction_sets = processor()
    options.set_experimental_options({key: chosen and bool(BFLOAT16 & instruction_sets)})
    try:
        yield
    finally:
        options.set_experimental_options({key: before})


@contextmanager
def _within_memory(recipe: Recipe) -> Iterator[None]:
    """Say what to make smaller where a device has too little memory."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        height, width = recipe.crop
        raise RecipeError(
            f"not enough memory for steps of {recipe.batch_size} crops of {height}x{width}; lower "
            "batch_size or crop, and train in a new folder."
        ) from error


@contextmanager
def _handling(handlers: Mapping[int, Callable[[int, Any], None]]) -> Iterator[None]:
    """Handle signals; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _on_interrupt(stop: _Stop) -> AbstractContextManager[None]:
    """Let the first signal end the step in progress; a second one ends everything at once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _: Any) -> None:
        stop.number = number
        signal.signal(number, before[signal.Signals(number)])

    return _handling({signal.SIGINT: note, signal.SIGTERM: note})


def _terminate(number: int, _: Any) -> None:
    raise Interrupted("stopped before the next step; nothing is lost, resume as you began.", number)
