"""Read token shards: flat arrays of token ids with sentence and document boundaries, memory-mapped.

A shards folder holds ``manifest.json``, ``shard-00000.safetensors`` …, a copy of the tokenizer in
``tokenizer/`` and, where the corpus had records that could not be read, ``problems.jsonl``.

Letters in shapes: ``T`` tokens of a shard laid end to end, ``S`` sentences, ``D`` documents.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfsup.corpus.flat_arrays import map_safetensors
from selfsup.corpus.manifest import damage_of, read_manifest_of
from selfsup.errors import UserError

FORMAT = "selfsup-shards"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Shard:
    """One shard; sentence ``s`` is ``tokens[sentence_offsets[s]:sentence_offsets[s + 1]]``.

    Attributes:
        tokens: uint16 or uint32 [T], without special tokens, memory-mapped and read-only.
        sentence_offsets: int64 [S + 1], positions in ``tokens``.
        document_offsets: int64 [D + 1], positions in the sentences.
    """

    tokens: np.ndarray
    sentence_offsets: np.ndarray
    document_offsets: np.ndarray


@dataclass(frozen=True)
class Shards:
    """An opened shards folder."""

    folder: Path
    manifest: dict[str, Any]
    shards: tuple[Shard, ...]

    @property
    def tokenizer_folder(self) -> Path:
        """The copy of the tokenizer that made these shards."""
        return self.folder / "tokenizer"

    @property
    def vocab_size(self) -> int:
        """Every token id is below this."""
        return self.manifest["vocab_size"]


def open_shards(folder: str | Path, *, verify: bool = False) -> Shards:
    """Open a shards folder without reading the tokens.

    Args:
        folder: what ``prepare`` wrote.
        verify: also compare every shard with its checksum, which reads all of it.

    Raises:
        UserError: the folder is missing, unfinished, of another format version, or a shard is
            missing, cut short or (with ``verify``) altered.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    return Shards(
        folder=folder,
        manifest=manifest,
        shards=tuple(_open_shard(folder, entry, verify) for entry in manifest["shards"]),
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read ``manifest.json`` of a finished shards folder.

    Raises:
        UserError: there is none, it cannot be read, or it is of another format version.
    """
    return read_manifest_of(
        folder,
        FORMAT,
        FORMAT_VERSION,
        what="token shards",
        again="run prepare",
        missing=_why_no_manifest,
    )


def _open_shard(folder: Path, entry: dict[str, Any], verify: bool) -> Shard:
    damage = damage_of(folder, entry, verify=verify)
    if damage:
        raise UserError(f"{damage}: run prepare again, it makes this shard anew")
    tensors = map_safetensors(folder / entry["file"])
    return Shard(tensors["tokens"], tensors["sentence_offsets"], tensors["document_offsets"])


def _why_no_manifest(folder: Path) -> str:
    if not folder.exists():
        return f"{folder}: no such folder: make the shards with `selfsup prepare`"
    if (folder / "progress.json").exists():
        return f"{folder}: prepare was interrupted: run the same prepare command again to finish it"
    return f"{folder}: holds no token shards (no manifest.json): make them with `selfsup prepare`"
