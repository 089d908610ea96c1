"""Write one token shard: tokens are streamed to the disk, only the boundaries stay in memory."""

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfsup.atomic_files import replacing, writing_to
from selfsup.errors import UserError
from selfsup.shards.folder import damage_of, map_safetensors, read_manifest_of, safetensors_header

_COPY_BYTES = 1 << 20


def token_dtype(vocab_size: int) -> np.dtype:
    """uint16 where every id fits, else uint32 (both little-endian)."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


class ShardWriter:
    """Takes documents in order; ``finish`` puts the shard in its place and describes it."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self.path = path
        self.dtype = dtype
        self.tokens = 0
        self._token_path = path.with_name(f".{path.name}.tokens")
        with writing_to(path):
            self._token_file = self._token_path.open("wb", buffering=_COPY_BYTES)
        self._sentence_lengths: list[np.ndarray] = []
        self._document_lengths: list[np.ndarray] = []

    def add(
        self, tokens: np.ndarray, sentence_lengths: np.ndarray, document_lengths: np.ndarray
    ) -> None:
        """Append documents.

        Args:
            tokens: token ids [t] of the writer's dtype.
            sentence_lengths: tokens in each sentence, integers [s] that sum to t.
            document_lengths: sentences in each document, integers [d] that sum to s.
        """
        with writing_to(self.path):
            self._token_file.write(np.ascontiguousarray(tokens, self.dtype).data)
        self.tokens += len(tokens)
        self._sentence_lengths.append(sentence_lengths.astype(np.int32))
        self._document_lengths.append(document_lengths.astype(np.int32))

    def finish(self) -> dict[str, Any]:
        """Write the shard under its final name.

        Returns:
            The manifest's entry: file, bytes, sha256, tokens, sentences, documents.

        Raises:
            UserError: the disk is full; nothing of the shard is left behind.
        """
        with writing_to(self.path):
            self._token_file.close()
        offsets = {
            "document_offsets": _offsets(self._document_lengths),
            "sentence_offsets": _offsets(self._sentence_lengths),
        }
        # The int64 arrays come first, so that they are aligned whatever the number of tokens.
        header = safetensors_header(
            {
                **{name: (array.dtype, len(array)) for name, array in offsets.items()},
                "tokens": (self.dtype, self.tokens),
            }
        )
        checksum = hashlib.sha256()
        size = 0
        with replacing(self.path) as out, self._token_path.open("rb") as token_file:
            parts = [header, *(array.tobytes() for array in offsets.values())]
            while parts:
                checksum.update(parts[0])
                size += len(parts[0])
                out.write(parts.pop(0))
                if not parts and (chunk := token_file.read(_COPY_BYTES)):
                    parts.append(chunk)
        self._token_path.unlink()
        return {
            "file": self.path.name,
            "bytes": size,
            "sha256": checksum.hexdigest(),
            "tokens": self.tokens,
            "sentences": len(offsets["sentence_offsets"]) - 1,
            "documents": len(offsets["document_offsets"]) - 1,
        }

    def abandon(self) -> None:
        """Remove what was written so far; harmless after ``finish``."""
        with contextlib.suppress(OSError):  # Closing writes, too, and the disk may be full.
            self._token_file.close()
        self._token_path.unlink(missing_ok=True)


def _offsets(lengths: list[np.ndarray]) -> np.ndarray:
    """Cumulative sums that start at 0, int64 [n + 1]."""
    total = sum(map(len, lengths))
    offsets = np.zeros(total + 1, np.dtype("<i8"))
    if total:
        np.cumsum(np.concatenate(lengths), out=offsets[1:])
    return offsets


# Read token shards: flat arrays of token ids with sentence and document boundaries, memory-mapped.
#
# A shards folder holds ``manifest.json``, ``shard-00000.safetensors`` …, a copy of the tokenizer
# in
# ``tokenizer/`` and, where the corpus had records that could not be read, ``problems.jsonl``.
#
# Letters in shapes: ``T`` tokens of a shard laid end to end, ``S`` sentences, ``D`` documents.


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
