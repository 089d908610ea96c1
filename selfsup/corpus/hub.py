"""Read documents from data sets that the Hugging Face library ``datasets`` can load: ``hf://NAME``."""

import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from selfsup.corpus.document import Record
from selfsup.corpus.text_field import Fields, documents_from_fields
from selfsup.errors import UserError

_PREFIX = "hf://"


def read_hub(url: str, text_field: str) -> Iterator[Record]:
    """Stream one split of a data set.

    Args:
        url: ``hf://NAME``, also ``hf://NAME?name=CONFIGURATION&split=SPLIT&revision=COMMIT``; the
            split is ``train`` unless named.
        text_field: the column that holds the text.

    Raises:
        UserError: ``datasets`` is not installed, or the data set cannot be loaded.
    """
    return documents_from_fields(hub_rows(url), url, text_field)


def hub_rows(url: str) -> Iterator[Fields]:
    """Each row's number, from 1, and its fields; classes have their names, or "-" if unknown.

    Raises:
        UserError: as ``read_hub``.
    """
    try:
        import datasets
    except ImportError:
        raise UserError(
            f"{url}: reading it needs the library datasets: pip install 'selfsup[hub]'"
        ) from None
    name, _, query = url.removeprefix(_PREFIX).partition("?")
    options: dict[str, Any] = {"split": "train", **dict(parse_qsl(query))}
    try:
        dataset: Any = datasets.load_dataset(name, streaming=True, **options)
    except Exception as error:  # datasets raises a wide range of them
        raise _not_loaded(url, error) from None
    # A list of classes, such as a tag for each word, has them as its ``feature``.
    classes = {
        column: getattr(feature, "feature", feature)
        for column, feature in (dataset.features or {}).items()
    }
    names = {
        column: feature.names
        for column, feature in classes.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    rows = iter(dataset)
    for number in itertools.count(1):
        try:  # it is fetched while it is read
            row = next(rows, None)
        except Exception as error:
            raise _not_loaded(url, error) from None
        if row is None:
            return
        yield number, row | {column: _class_names(row[column], names[column]) for column in names}


def _not_loaded(url: str, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(f"{url}: cannot be loaded ({reason})")


def _class_names(value: int | list[int] | None, names: list[str]) -> str | list[str]:
    if isinstance(value, list):
        return [_class_name(number, names) for number in value]
    return _class_name(value, names)


def _class_name(number: int | None, names: list[str]) -> str:
    return names[number] if number is not None and number >= 0 else "-"
