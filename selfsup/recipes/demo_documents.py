"""The documentation of the Python packages installed here, for the demo."""

from collections.abc import Iterator
from pathlib import Path

from selfsup.corpus.bad_records import DEFAULT_MAX_BAD_FRACTION, BadRecordTally
from selfsup.corpus.docstrings import read_docstrings
from selfsup.corpus.document import Document, Record
from selfsup.corpus.inputs import DOCS_INSTALLED, Input, find_inputs
from selfsup.corpus.worker_pool import default_workers
from selfsup.recipes.side_by_side import side_by_side

_FILES_AT_ONCE = 64


def installed_documents(workers: int | None) -> Iterator[Document]:
    """Those of ``docs://installed`` in their order, read by several processes.

    Args:
        workers: how many; if None, as many as there are cores, at most 16.

    Raises:
        UserError: too many of the files cannot be read.
    """
    tally = BadRecordTally(DEFAULT_MAX_BAD_FRACTION)
    modules = find_inputs([DOCS_INSTALLED])
    for records in side_by_side(_records_of, modules, workers or default_workers(), _FILES_AT_ONCE):
        for record in records:
            tally.count(record)
            if isinstance(record, Document):
                yield record
    tally.judge_all()


def _records_of(module: Input) -> list[Record]:
    return list(read_docstrings(module.name, Path(module.url)))
