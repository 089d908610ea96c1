"""Write one token shard: tokens are streamed to the disk, only the boundaries stay in memory."""

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from selfsup.atomic_files import replacing, writing_to
from selfsup.corpus.flat_arrays import safetensors_header

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
