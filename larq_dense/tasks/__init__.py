"""What models are for: classes, data sets as they lie on disk, labels and measures."""

from larq_dense.common.extra import needs_extra

with needs_extra(__name__):
    # Imported for what they register, in the order in which their layouts are tried.
    from larq_dense.tasks import cityscapes, idd_lite, camvid, kitti_road, saliency  # noqa: F401, I001
    from larq_dense.tasks.classes import ClassInfo
    from larq_dense.tasks.data_sets import DataSet, register_data_set
    from larq_dense.tasks.encodings import Encoding
    from larq_dense.tasks.layouts import Layout, Pair
    from larq_dense.tasks.metrics import Metrics
    from larq_dense.tasks.registry import from_classes, from_folder, get, names, register_task
    from larq_dense.tasks.sources import DataSource, Sample
    from larq_dense.tasks.task import Task

__all__ = [
    "ClassInfo",
    "DataSet",
    "DataSource",
    "Encoding",
    "Layout",
    "Metrics",
    "Pair",
    "Sample",
    "Task",
    "from_classes",
    "from_folder",
    "get",
    "names",
    "register_data_set",
    "register_task",
]
