"""Texts from TensorFlow Datasets that are prepared on this machine.

An unprepared set is never prepared here: without a network that hangs for minutes, and with one
it may load gigabytes unasked. The error says how to do it.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from seqapps.data.files import Row, suggestion
from seqapps.errors import UserError
from seqapps.lazy import start_tensorflow

_NAME = re.compile(r"(\w+)(?:/([\w.+-]+))?")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_BATCH = 1024


def find(location: str, folder: str) -> Path:
    """Returns the folder of a prepared data set, of its highest version.

    Args:
        location: Data set as NAME or NAME/CONFIG. The configuration may be left out where only
            one is prepared.
        folder: Folder of prepared sets; empty: $TFDS_DATA_DIR, else ~/tensorflow_datasets.

    Raises:
        UserError: If the location has another form, or no such set is prepared.
    """
    match = _NAME.fullmatch(location)
    if not match:
        raise UserError(
            f"A TensorFlow data set is named tfds:NAME or tfds:NAME/CONFIG, got 'tfds:{location}'."
        )
    root = folder or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    data_dir = Path(root).expanduser().absolute()
    name, config = match.groups()
    if config is None:
        configs = sorted(
            path.name
            for path in _folders(data_dir / name)
            if _versions(data_dir / name / path.name)
        )
        if len(configs) > 1 and not _versions(data_dir / name):
            raise UserError(
                f"tfds:{name} is prepared in several configurations; name one: "
                + ", ".join(f"tfds:{name}/{config}" for config in configs)
            )
        versions = _versions(data_dir / name)
        if configs and not versions:
            versions = _versions(data_dir / name / configs[0])
    else:
        versions = _versions(data_dir / name / config)
    if not versions:
        raise UserError(
            f"tfds:{location} is not prepared in {data_dir}. Prepare it once, with a network:\n"
            f'  python -c "import tensorflow_datasets as tfds; '
            f"tfds.builder('{location}', data_dir={str(data_dir)!r}).download_and_prepare()\""
        )
    return versions[-1]


def splits(path: Path) -> list[str]:
    """Returns the names of the splits of a prepared data set.

    Args:
        path: Folder from `find`.
    """
    return list(_builder(path).info.splits)


def read(
    path: Path, split: str, columns: Sequence[str], *, codes: Collection[str] = ()
) -> Iterator[Row]:
    """Yields the rows of a split, reduced to some of its text features, always in one order.

    Args:
        path: Folder from `find`.
        split: Name of the split.
        columns: Names of the features to take, such as the languages of a translation set.
        codes: Those of the columns that may be class labels as well; they become the class's name.

    Yields:
        Rows, numbered from 1. One whose class label is none of the classes, as in test sets that
        were published without labels, has the reason instead of cells.

    Raises:
        UserError: If the data set has no such features.
    """
    import tensorflow_datasets as tfds

    builder = _builder(path)
    features = builder.info.features
    names = list(features.keys()) if hasattr(features, "keys") else []
    texts = [name for name in names if isinstance(features[name], tfds.features.Text)]
    classes: dict[str, list[str]] = {
        name: features[name].names
        for name in names
        if isinstance(features[name], tfds.features.ClassLabel)
    }
    for name in columns:
        usable = [*texts, *classes] if name in codes else texts
        if name not in usable:
            kind = "class label or text" if name in codes else "text"
            raise UserError(
                f"The data set in {path} has no {kind} {name!r}; "
                f"it has {', '.join(map(repr, usable)) or 'no text of a fixed name'}."
                f"{suggestion(name, set(usable) - set(columns))}"
            )
    number = 0
    for batch in builder.as_dataset(split=split, batch_size=_BATCH, shuffle_files=False):
        for values in zip(*(batch[name].numpy().tolist() for name in columns), strict=True):
            number += 1
            # TFDS writes -1 for a label that is not given; as an index it would name a class.
            if any(isinstance(value, int) and value < 0 for value in values):
                yield Row(number, (), "the class label is not given")
                continue
            yield Row(
                number,
                tuple(
                    classes[name][value]
                    if name in classes
                    else value.decode("utf-8", "surrogateescape")
                    for name, value in zip(columns, values, strict=True)
                ),
            )


def _builder(path: Path) -> Any:
    start_tensorflow()
    import tensorflow_datasets as tfds

    return tfds.builder_from_directory(str(path))


def _folders(path: Path) -> list[Path]:
    return [child for child in path.iterdir() if child.is_dir()] if path.is_dir() else []


def _versions(path: Path) -> list[Path]:
    """Returns the folders of complete versions, the highest last."""
    versions = [
        child
        for child in _folders(path)
        if _VERSION.fullmatch(child.name) and (child / "dataset_info.json").is_file()
    ]
    return sorted(versions, key=lambda child: [int(part) for part in child.name.split(".")])
