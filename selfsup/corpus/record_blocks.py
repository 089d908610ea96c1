"""Gather records into blocks for the workers, and report those that could not be read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selfsup.atomic_files import write_bytes, writing_to
from selfsup.corpus.bad_records import BadRecordTally
from selfsup.corpus.document import BadRecord
from selfsup.corpus.sources import RecordStream

_BLOCK_BYTES = 1 << 19


@dataclass(frozen=True)
class RecordBlock:
    """Where the ``R`` records of a block come from; bad records are among them, without text.

    Attributes:
        positions: int64 [R, 2], the input and the number of the record in it.
        text_bytes: int64 [R], length in UTF-8.
        lines: int64 [R], what each counts for; more than one in plain text.
        problems: for each record, why it is bad, or an empty string.
    """

    positions: np.ndarray
    text_bytes: np.ndarray
    lines: np.ndarray
    problems: list[str]


def read_blocks(
    stream: RecordStream, tally: BadRecordTally, problems_path: Path
) -> Iterator[tuple[RecordBlock, list[bytes]]]:
    """Gather records into blocks of some bytes; write bad ones to the report as they come."""
    positions: list[tuple[int, int]] = []
    texts: list[bytes] = []
    lines: list[int] = []
    problems: list[str] = []
    size = 0
    for input_index, number, record in stream:
        is_bad = isinstance(record, BadRecord)
        if is_bad:
            report_problem(record, problems_path)
        tally.count(record)
        texts.append(b"" if is_bad else record.text.encode())
        positions.append((input_index, number))
        lines.append(1 if is_bad else record.records)
        problems.append(str(record) if is_bad else "")
        size += len(texts[-1])
        if size >= _BLOCK_BYTES or len(texts) >= _BLOCK_BYTES // 64:
            yield _record_block(positions, texts, lines, problems), texts
            positions, texts, lines, problems, size = [], [], [], [], 0
    if texts:
        yield _record_block(positions, texts, lines, problems), texts
    tally.judge_all()


def _record_block(
    positions: list[tuple[int, int]], texts: list[bytes], lines: list[int], problems: list[str]
) -> RecordBlock:
    return RecordBlock(
        np.array(positions, np.int64),
        np.array([len(text) for text in texts], np.int64),
        np.array(lines, np.int64),
        problems,
    )


def report_problem(record: BadRecord, path: Path) -> None:
    """Add one line to the report of what could not be read."""
    line = {"file": record.source, "line": record.line, "reason": record.reason}
    with writing_to(path), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def keep_first_problems(path: Path, count: int) -> None:
    """Forget the problems after the position that is gone on from: they will be met again."""
    if path.exists():
        with path.open("rb") as file:
            lines = [line for _, line in zip(range(count), file, strict=False)]
        write_bytes(path, b"".join(lines))
