"""What a run tells while it goes: CSV, TensorBoard, and a progress line."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from larq_dense.common.files import write_text
from larq_dense.common.keras2 import tf
from larq_dense.training.checkpoint import Progress


class CsvLog:
    """`log.csv`: one row an epoch, rewritten whole so that no row is ever cut."""

    def __init__(self, path: Path, columns: Sequence[str], step: int) -> None:
        """Continue or begin a log.

        Args:
            path: The file.
            columns: Its columns; `"step"` is one of them.
            step: Rows of later steps, from a session that died after them, are dropped.
        """
        self._path = path
        self._columns = list(columns)
        self._rows: list[dict[str, Any]] = []
        if step and path.exists():
            # People look at it in programs that save it in another form.
            with path.open(newline="", encoding="utf-8", errors="replace") as file:
                rows = [row for row in csv.DictReader(file) if (row.get("step") or "").isdigit()]
            self._rows = [row for row in rows if int(row["step"]) <= step]

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; columns that it lacks stay empty."""
        self._rows.append(dict(row))
        text = io.StringIO()
        writer = csv.DictWriter(
            text, self._columns, restval="", extrasaction="ignore", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self._path, text.getvalue())


class TensorBoardLog:
    """Scalars for TensorBoard."""

    def __init__(self, folder: Path) -> None:
        """Open a new event file in `folder`."""
        self._writer = tf.summary.create_file_writer(str(folder))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Write scalars of a step."""
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
        self._writer.flush()


LINE_SECONDS = 10.0
_LINES_AN_EPOCH = 20


class ProgressLine:
    """Epoch, bar, time left, loss, images a second and best metric, on standard error.

    Where standard error is no terminal, lines are written instead: after the first step, then at
    most every `LINE_SECONDS` and every twentieth of an epoch.
    """

    def __init__(self, total_steps: int, step: int, shown: bool, per_epoch: int = 1) -> None:
        """Prepare.

        Args:
            total_steps: Steps of the whole run.
            step: Steps already done.
            shown: Write anything at all.
            per_epoch: Steps of an epoch.
        """
        self._console = Console(stderr=True, quiet=not shown, highlight=False, soft_wrap=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:3.0f}% {task.fields[figures]}"),
            console=self._console,
            transient=True,
            disable=not (shown and self._console.is_terminal),
        )
        self._task = self._bar.add_task("", total=total_steps, completed=step, figures="")
        self._total, self._first = total_steps, step
        self._began = time.perf_counter()
        self._lines = shown and not self._console.is_terminal
        self._pause = per_epoch / _LINES_AN_EPOCH
        self._line_step, self._line_time = -math.inf, -math.inf

    def __enter__(self) -> ProgressLine:
        self._bar.start()
        self._began = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def time_left(self, step: int) -> timedelta:
        """Estimate the time to the last step from this session's pace, validation included.

        Args:
            step: Steps done in the whole run.
        """
        done = max(1, step - self._first)
        seconds = (time.perf_counter() - self._began) / done * (self._total - step)
        return timedelta(seconds=round(seconds))

    def update(self, state: Progress, epoch: str, speed: float) -> None:
        """Redraw the line.

        Args:
            state: Counters.
            epoch: Such as `"epoch 3/10"`.
            speed: Images a second.
        """
        figures = f"left {self.time_left(state.step)} loss {state.loss:.4f} {speed:.1f} images/s"
        if state.best is not None:
            figures += f" best {state.best:.4f}"
        self._bar.update(self._task, completed=state.step, description=epoch, figures=figures)
        now = time.perf_counter()
        due = state.step - self._line_step >= self._pause and now - self._line_time >= LINE_SECONDS
        if self._lines and due:
            self._line_step, self._line_time = state.step, now
            self.print(f"{epoch}  step {state.step}/{self._total}  {figures}")

    def print(self, text: str) -> None:
        """Write a line that stays."""
        self._console.print(text, markup=False)
