"""What models are for: classes, data sets as they lie on disk, labels and measures."""

from larq_dense.tasks.classes import ClassInfo
from larq_dense.tasks.metrics import Metrics
from larq_dense.tasks.registry import from_classes, from_folder, get, names
from larq_dense.tasks.sources import DataSource, Sample
from larq_dense.tasks.task import Task

__all__ = [
    "ClassInfo",
    "DataSource",
    "Metrics",
    "Sample",
    "Task",
    "from_classes",
    "from_folder",
    "get",
    "names",
]
