"""An entry's card, written from its recipe and its metrics."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from larq_dense.common.markdown import METRIC_TITLES, format_metric, markdown_table, vectors
from larq_dense.publishing.baselines import BASELINE_RECIPE
from larq_dense.publishing.claims import claim_sentence
from larq_dense.publishing.int8 import int8_section, paired_rows
from larq_dense.publishing.network import left_out
from larq_dense.zoo.entries import Entry
from larq_dense.zoo.provenance import (
    data_set,
    history,
    notice,
    parent_recipe,
    seen,
    split_title,
    use_of,
)

if TYPE_CHECKING:
    from larq_dense.training.recipe import Recipe

PICTURE = "accuracy.png"
"""Drawn where there is a baseline: accuracy over OPs."""

CURVE = "training.png"
"""Drawn where an entry or its baseline keeps its log: validation scores over steps."""

_STREETS = "Night, snow, unpaved roads and other cameras were not measured."
_LIMITS = {
    "ecssd": (
        "Small objects, several objects and objects without a clear outline are often missed, and "
        "a picture without a salient object often gets one."
    ),
    "people": (
        "Mostly whole persons in studio and street pictures; crowds, single hands and heads, and "
        "persons far away were not measured."
    ),
    "cityscapes": (
        f"Trained on daylight frames from cars in Germany, India and Cambridge. {_STREETS}"
    ),
    "cityscapes19": (
        "Trained on daylight frames from a car in Germany, squeezed to squares, in which thin and "
        f"rare classes are under-represented. {_STREETS}"
    ),
    "kitti_road": (
        f"Trained on daylight frames from cars in Germany, India and Cambridge. {_STREETS} The "
        "measures are in the camera's perspective view; KITTI's leaderboard measures in "
        "bird's-eye view, which gives other figures."
    ),
}
"""By the name of an entry, which its smaller sizes begin with."""


def card(entry: Entry) -> str:
    """Return the card's Markdown text."""
    task, metrics = entry.task(), entry.metrics()
    first = notice(entry)
    sections = [
        f"# {entry.name}: {task.title}",
        f"**{first[0].upper()}{first[1:]}**",
        _usage(entry),
        *(["## Network\n\n" + less] if (less := left_out(entry)) else []),
        "## Accuracy\n\n" + _accuracy(entry),
        *(["## Robustness\n\n" + _robustness(entry)] if metrics.get("robustness") else []),
        "## Full precision\n\n" + _baseline(entry),
        "## Complexity\n\n" + _complexity(metrics["complexity"]),
        "## Conversion\n\n" + _conversion(metrics["conversion"]),
        "## Latency\n\n" + _latency(metrics["latency"], metrics["machine"]),
        *(["## All-integer\n\n" + int8_section(entry)] if entry.int8().is_published else []),
        "## Training\n\n" + _training(entry),
        "## Data\n\n" + _data(entry),
        "## Limits\n\n" + _limits(entry),
    ]
    return "\n\n".join(sections) + "\n"


def _usage(entry: Entry) -> str:
    lines = [
        "```python",
        "import larq_dense",
        "",
        f'predictor = larq_dense.load("{entry.name}")',
        'labels = predictor.labels("photo.jpg")  # uint8, at the photo\'s size',
        "```",
    ]
    if entry.int8().is_published:
        lines += [
            "",
            "This runs the all-integer form, which has a [section of its own](#all-integer). The "
            "other sections measure the form with float32 between the binary layers, "
            f'`larq_dense.load("{entry.name}", precision="binary")`; '
            f'`zoo.load("{entry.name}")` is its Keras model.',
        ]
    return "\n".join(lines)


def _accuracy(entry: Entry) -> str:
    rows = entry.metrics()["accuracy"]
    names = list(rows[0]["metrics"])
    header = ["data", "split", "pictures", *(METRIC_TITLES.get(name, name) for name in names)]
    body = [
        [
            data_set(row["data"]).title,
            split_title(row["split"], row["within"]),
            str(row["images"]),
            *(format_metric(name, row["metrics"][name]) for name in names),
        ]
        for row in rows
    ]
    commands = "\n".join(row["command"] for row in rows)
    parts = [markdown_table(header, body), f"Measured by\n\n```\n{commands}\n```"]
    if "threshold" in names:
        parts.append(
            "Precision, recall and IoU of the road are at the threshold of MaxF; mIoU, pixel "
            "accuracy and the table below are of the labels, at one half."
        )
    for title in ("class", "category"):
        if len(rows[0].get(f"per_{title}", {})) > 1:
            parts.append(_per_class(rows, title))
    claim = claim_sentence(entry.name, entry.task().main_metric, rows)
    if claim:
        parts.append(claim)
    return "\n\n".join(parts)


def _baseline(entry: Entry) -> str:
    baseline, metric = entry.baseline().metrics(), entry.task().main_metric
    if not baseline:
        return "The full-precision baseline has not been trained, so its accuracy is not known."
    recipe, stages = entry.baseline().recipe(), baseline["stages"]
    body = paired_rows(metric, entry.metrics()["accuracy"], baseline["accuracy"], baseline["int8"])
    commands = [
        *_train_baseline(stages),
        *(row["command"] for row in baseline["accuracy"]),
    ]
    begins = _baseline_begins(entry, stages)
    whom = "teachers" if len(recipe.teachers) > 1 else "teacher"
    teacher = f"Train the {whom} ([Training](#training)) first. " * bool(recipe.teachers)
    table = markdown_table(["", "binary", "full-precision baseline", "baseline in int8"], body)
    return (
        f"{table}\n\n![accuracy over OPs]({PICTURE})\n\n"
        "The baseline is the same network in full precision, with the same data "
        f"([recipe]({BASELINE_RECIPE})), {begins}. {teacher}Commands:\n\n"
        + "\n".join(["```", *commands, "```"])
        + "\n\nTensorFlow Lite's post-training quantization made the int8 form, with ranges from "
        f"training pictures; `larq-dense zoo publish {baseline['run']} {entry.name} --data "
        "../shared/data` measured it."
    )


def _train_baseline(stages: list[dict[str, str]]) -> Iterator[str]:
    """Yield the commands that train a baseline, stage by stage."""
    before = ""
    for stage in stages:
        how = "" if stage["recipe"].endswith(BASELINE_RECIPE) else f" --baseline{before}"
        command = f"larq-dense train {stage['recipe']}{how} --data ../shared/data"
        yield f"{command} --run {stage['run']}"
        before = f" --init {stage['run']}"


def _baseline_begins(entry: Entry, stages: list[dict[str, str]]) -> str:
    baseline, recipe = entry.baseline().recipe(), entry.recipe()
    without = ", without a teacher" * bool(recipe.distillation and not baseline.distillation)
    if baseline.goes_on_from(recipe):
        own = baseline.init == entry.name
        origin = f"from the binary weights of {recipe.init}, as the entry was,"
        whose = "on from the entry's own weights" if own else origin
        return f"trained {whose} for {_length(baseline)}{without}"
    if baseline.init:
        if stages[-2]["recipe"].endswith(BASELINE_RECIPE):
            return f"trained for the same length from the baseline of {recipe.init}"
        return "trained for the same length through the same stages"
    if recipe.init:
        return f"trained as long from new weights; the entry began with those of {recipe.init}"
    return "trained as long from new weights"


def _length(recipe: "Recipe") -> str:
    if recipe.steps:
        return f"{recipe.steps} steps"
    return f"{recipe.epochs} epoch" + "s" * (recipe.epochs != 1)


def _per_class(rows: list[dict[str, Any]], title: str) -> str:
    header = [f"IoU of the {title}", *(data_set(row["data"]).title for row in rows)]
    scores = [row[f"per_{title}"] for row in rows]
    body = [
        [name, *(format_metric("iou", each[name]["iou"]) for each in scores)] for name in scores[0]
    ]
    return markdown_table(header, body)


def _robustness(entry: Entry) -> str:
    found = entry.metrics()["robustness"]
    baseline = (entry.baseline().metrics() or {}).get("robustness")
    metric = found["metric"]
    header = ["corruption", *(f"severity {each}" for each in found["severities"])]
    body = [
        [name.replace("_", " "), *(format_metric(metric, value) for value in values)]
        for name, values in found["corrupted"].items()
    ]
    means = f"binary {_clean_and_corrupted(found)}"
    if baseline:
        # Where a baseline's weights were not kept, another network stands for it, which is named.
        network = baseline.get("network", "full-precision baseline")
        means += f"; {network} {_clean_and_corrupted(baseline)}"
    return (
        f"{METRIC_TITLES.get(metric, metric)} on {found['images']} pictures of "
        f"{data_set(found['data']).title} ({found['split']}), corrupted as Hendrycks and "
        "Dietterich (ICLR 2019) do; spatter is rain on the lens, pixelate a lower resolution:\n\n"
        f"{markdown_table(header, body)}\n\nUncorrupted, and the mean over all corruptions: "
        f"{means}. Measured by `{found['command']}`."
    )


def _clean_and_corrupted(found: dict[str, Any]) -> str:
    clean, mean = (format_metric(found["metric"], found[key]) for key in ("clean", "mean"))
    return f"{clean} and {mean}"


def _complexity(values: dict[str, Any]) -> str:
    binary, baseline = values["binary"], values["float"]
    body = [
        [title, f"{binary[key] / unit:,.{digits}f}", f"{baseline[key] / unit:,.{digits}f}"]
        for title, key, unit, digits in (
            ("OPs, M (float MACs + binary MACs / 64)", "ops", 1e6, 1),
            ("binary MACs, M", "binary_macs", 1e6, 1),
            ("float MACs, M", "float_macs", 1e6, 1),
            ("parameters", "parameters", 1, 0),
            ("bytes stored", "stored_bytes", 1, 0),
        )
    ]
    height, width, _ = binary["input_shape"]
    table = markdown_table(
        [f"one picture at {width}×{height}", "binary", "full-precision baseline"], body
    )
    note = "Convolutions and dense layers are counted; batch norm, gates and resizing are not."
    return f"{table}\n\n{note} Printed by `{values['command']}`."


def _conversion(values: dict[str, Any]) -> str:
    agreement = values["parity"]
    command = values["command"].replace(" --images", " \\\n    --images")
    return (
        f"Larq Compute Engine's file has {values['bytes']:,} bytes, and each of the "
        f"{values['binary_layers']} binary layers is an `LceBconv2d` in it. Against Keras on "
        f"{agreement['images']} validation pictures, {100 * agreement['same_labels']:.3f} % of "
        f"the pixels have the same label and the logits differ by at most "
        f"{agreement['max_logit_difference']:.3g} (largest logit: {agreement['max_logit']:.3g}). "
        f"Made by\n\n```\n{command}\n```"
    )


def _latency(values: dict[str, Any], machine: dict[str, Any]) -> str:
    body = [[row["engine"], f"{row['milliseconds']:.1f}"] for row in values["rows"]]
    threads = "1 thread" if values["threads"] == 1 else f"{values['threads']} threads"
    table = markdown_table(["engine", "ms a picture"], body)
    return (
        f"{table}\n\n{threads} of {machine['cpu']}, {vectors(machine)}; medians of "
        f"interleaved runs, measured by `{values['command']}`. TFLite runs the full-precision "
        "baseline."
    )


def _training(entry: Entry) -> str:
    recipe = entry.recipe()
    rows, columns = recipe.crop
    # Earlier trainings come first, the earliest before all. Entries, and the runs that those began
    # with, have cards of their own.
    runs = [x for _, x, _ in history(entry) if x and parent_recipe(entry.folder, x).is_file()]
    commands = [
        f"larq-dense train {parent_recipe(Path('zoo', entry.name), run).as_posix()} "
        f"--data ../shared/data --run {run}"
        for run in reversed(runs)
    ]
    commands.append(f"larq-dense train {entry.name} --data ../shared/data --run runs/{entry.name}")
    text = (
        f"{_length(recipe)} of batches of {recipe.batch_size} crops of {columns}×{rows} by "
        f"[recipe.yaml](recipe.yaml). To repeat it:\n\n" + "```\n" + "\n".join(commands) + "\n```"
    )
    return text + _curve(entry)


def _curve(entry: Entry) -> str:
    kept = [each.log for each in (entry, entry.baseline()) if each.log.is_file()]
    if not kept:
        return ""
    limit = entry.recipe().data.validation_limit
    pictures = f"at most {limit} pictures of each source" if limit else "all pictures"
    names = [path.relative_to(entry.folder).as_posix() for path in kept]
    files = " and ".join(f"[{name}]({name})" for name in names)
    whose = " of the full-precision baseline" if kept == [entry.baseline().log] else ""
    return (
        f"\n\n![validation scores over steps]({CURVE})\n\nThe validation splits' mean, over "
        f"{pictures}, after each epoch of the last stage{whose} ({files})."
    )


def _data(entry: Entry) -> str:
    sources = entry.recipe().data
    uses = [
        *seen(entry),
        *(use_of(entry, "validation", source) for source in sources.validation),
        *(use_of(entry, "test", source) for source in sources.test),
    ]
    roles: dict[tuple[str, str], list[str]] = {}
    for role, _, split, data in uses:
        roles.setdefault((f"{data.title} ({split})", data.source), []).append(role)
    rows = [
        [name, ", ".join(dict.fromkeys(found)), source] for (name, source), found in roles.items()
    ]
    return markdown_table(["data set (split)", "used for", "source and licence"], rows)


def _limits(entry: Entry) -> str:
    recipe = entry.recipe()
    size = f"{recipe.input.width}×{recipe.input.height}"
    general = (
        f"Pictures are resized to {size}, which changes their aspect ratio; details smaller "
        "than a few pixels of that are lost. The validation pictures come from the same sources "
        "as the training ones. Do not use the network where safety depends on its result."
    )
    size_of = entry.name.rpartition("_")[0]
    special = _LIMITS.get(entry.name) or _LIMITS.get(size_of)
    return f"{general}\n\n{special}" if special else general
