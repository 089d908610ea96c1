"""What an interrupted ``prepare`` leaves behind, so that the same command can go on from there.

After each finished shard ``progress.json`` says where in the corpus the next one begins, and the
hashes of the texts first seen in that shard lie in a file of their own. Nothing else is needed:
whatever was in memory for the next shard is made again.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from selfsup.atomic_files import write_bytes
from selfsup.shards.folder import damage_of

PROGRESS_FILE = "progress.json"


@dataclass
class Counts:
    """What was read and written so far.

    Attributes:
        records: records read, also bad ones; a line each in plain text.
        bad_records: records that could not be read.
        bytes_read: bytes of text, in UTF-8.
        documents: documents written.
        sentences: sentences written.
        tokens: tokens written.
        duplicate_documents: documents dropped.
        duplicate_paragraphs: paragraphs dropped from documents that were not.
        empty_documents: documents without text, or without any left, not written.
    """

    records: int = 0
    bad_records: int = 0
    bytes_read: int = 0
    documents: int = 0
    sentences: int = 0
    tokens: int = 0
    duplicate_documents: int = 0
    duplicate_paragraphs: int = 0
    empty_documents: int = 0


@dataclass
class Unfinished:
    """The state after a finished shard.

    Attributes:
        identity: what the shards are made from and how; see ``prepare``.
        shards: the manifest's entries of the finished shards.
        position: the input, and the record in it, that the next shard begins with.
        counts: up to that position.
        first_bad: the first bad record, in words; empty if there is none.
    """

    identity: dict[str, Any]
    shards: list[dict[str, Any]] = field(default_factory=list)
    position: tuple[int, int] = (0, 0)
    counts: Counts = field(default_factory=Counts)
    first_bad: str = ""

    def save(self, folder: Path) -> None:
        """Write ``progress.json``."""
        write_bytes(folder / PROGRESS_FILE, (json.dumps(asdict(self), indent=2) + "\n").encode())


def load_unfinished(folder: Path) -> Unfinished | None:
    """Read ``progress.json``; None where there is none, or it cannot be read."""
    try:
        values = json.loads((folder / PROGRESS_FILE).read_bytes())
        return Unfinished(
            **{
                **values,
                "position": tuple(values["position"]),
                "counts": Counts(**values["counts"]),
            }
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_intact(folder: Path, unfinished: Unfinished) -> bool:
    """Whether the finished shards and their hashes are there, whole."""
    return all(
        damage_of(folder, entry, verify=True) is None and _hashes_file(folder, index).exists()
        for index, entry in enumerate(unfinished.shards)
    )


def save_hashes(folder: Path, index: int, hashes: np.ndarray) -> None:
    """Write the hashes, uint64 [n], first seen in a shard."""
    write_bytes(_hashes_file(folder, index), hashes.astype("<u8").tobytes())


def load_hashes(folder: Path, index: int) -> np.ndarray:
    """Read what ``save_hashes`` wrote."""
    return np.frombuffer(_hashes_file(folder, index).read_bytes(), "<u8")


def remove_unfinished(folder: Path) -> None:
    """Remove all traces of unfinished work but the finished shards."""
    for pattern in (PROGRESS_FILE, "hashes-*.u64", ".shard-*", ".hashes-*.tmp", ".*.json.tmp"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _hashes_file(folder: Path, index: int) -> Path:
    return folder / f"hashes-{index:05d}.u64"
