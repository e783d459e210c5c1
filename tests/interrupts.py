"""Interrupting a training at a step of one's choice."""

import os
import signal
from typing import Any

import pytest

from larq_dense.training.checkpoint import Progress
from larq_dense.training.logs import ProgressLine


def interrupt_at(
    monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals = signal.SIGINT
) -> None:
    """Let training send itself a signal, that of Ctrl-C unless said otherwise, after a step."""
    before = ProgressLine.update

    def update(self: ProgressLine, state: Progress, *rest: Any) -> None:
        before(self, state, *rest)
        if state.step == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(ProgressLine, "update", update)
