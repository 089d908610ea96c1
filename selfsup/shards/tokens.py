"""Token shards: token ids with the boundaries of sentences and documents.

The shards folder also holds a copy of the tokenizer in ``tokenizer/``.

Letters in shapes: ``T`` tokens of a shard, ``S`` sentences, ``D`` documents.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np
from msgspec import Meta

from selfsup.atomic_files import write_bytes, writing_to
from selfsup.shards.arrays import ShardEntry, StoredArray, write_safetensors
from selfsup.shards.folder import (
    PROGRESS_FILE,
    ContradictionError,
    ResumeState,
    ShardFormat,
    check_count,
    check_offsets,
    file_sha256,
    open_folder,
)
from selfsup.special_files import refuse_special
from selfsup.structured_files import Count


class TokenShardEntry(ShardEntry):
    """What a manifest says of a shard of tokens."""

    tokens: Count
    sentences: Count
    documents: Count


class TokenManifest(TypedDict):
    """What a manifest of token shards says that is used."""

    shards: Annotated[list[TokenShardEntry], Meta(min_length=1)]
    sources: list[str]
    tokenizer_sha256: str
    vocab_size: Annotated[int, Meta(ge=1, le=1 << 32)]
    records: Count
    bad_records: Count
    documents: Count
    sentences: Count
    tokens: Count
    duplicate_documents: Count
    empty_documents: Count
    # Earlier versions did not count these.
    characters: NotRequired[Count]
    unknown_characters: NotRequired[Count]
    unknown_in_long_words: NotRequired[Count]


TOKEN_SHARDS = ShardFormat(
    name="selfsup-shards",
    manifest=TokenManifest,
    arrays={
        "tokens": (np.dtype("<u2"), np.dtype("<u4")),
        "sentence_offsets": (np.dtype("<i8"),),
        "document_offsets": (np.dtype("<i8"),),
    },
    units=("tokens", "sentences", "documents"),
    content="token shards",
    inputs="corpus files",
    made="shards made",
    remake="run prepare",
    remaking="making the shards",
    repair="run prepare again, which makes this shard again",
    no_folder="no such folder: make the shards with `selfsup prepare`",
    interrupted="prepare was interrupted: run the same prepare command again to finish it",
    no_manifest="holds no token shards (no manifest.json): make them with `selfsup prepare`",
)

_COPY_BYTES = 1 << 20


def token_dtype(vocab_size: int) -> np.dtype:
    """uint16 if every id fits, else uint32 (both little-endian)."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


@dataclass(frozen=True)
class Shard:
    """One shard; sentence ``s`` is ``tokens[sentence_offsets[s]:sentence_offsets[s + 1]]``.

    Attributes:
        tokens: uint16 or uint32 [T], without special tokens; parts of it are read when they are
            asked for.
        sentence_offsets: int64 [S + 1], positions in ``tokens``.
        document_offsets: int64 [D + 1], indices of sentences.
    """

    tokens: StoredArray
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
    """Open a folder that ``prepare`` wrote; the offsets are read and checked.

    Args:
        folder: the folder.
        verify: compare checksums and look at every token, which reads all files: 1.5 seconds a
            gigabyte.

    Raises:
        UserError: the folder is missing, unfinished or of another format version, or a shard is
            missing, cut short or damaged.
    """

    def open_shard(
        arrays: dict[str, StoredArray], entry: dict[str, Any], manifest: dict[str, Any]
    ) -> Shard:
        tokens = arrays["tokens"]
        sentences, documents = arrays["sentence_offsets"][:], arrays["document_offsets"][:]
        check_offsets("sentence_offsets", sentences, len(tokens))
        check_offsets("document_offsets", documents, len(sentences) - 1)
        for unit, count in (
            ("tokens", len(tokens)),
            ("sentences", len(sentences) - 1),
            ("documents", len(documents) - 1),
        ):
            check_count(unit, entry, count)
        vocab_size = manifest["vocab_size"]
        if tokens.dtype != token_dtype(vocab_size):
            raise ContradictionError(f"tokens of {tokens.dtype.name} for {vocab_size} ids")
        if verify:
            largest = max(int(part.max()) for part in tokens.parts())
            if largest >= vocab_size:
                raise ContradictionError(f"the token id {largest}, of {vocab_size} ids")
        return Shard(tokens, sentences, documents)

    manifest, shards = open_folder(Path(folder), TOKEN_SHARDS, open_shard, verify=verify)
    return Shards(Path(folder), manifest, tuple(shards))


class ShardWriter:
    """Writes one shard: tokens are streamed to the disk, only the boundaries stay in memory."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self.path = path
        self.dtype = dtype
        self.tokens = 0
        self._token_path = path.with_name(f".{path.name}.tokens")
        with writing_to(path):
            self._token_path.unlink(missing_ok=True)  # of a call that was killed
            self._token_file = self._token_path.open("xb", buffering=_COPY_BYTES)
        self._sentence_lengths: list[np.ndarray] = []
        self._document_lengths: list[np.ndarray] = []

    def add(
        self, tokens: np.ndarray, sentence_lengths: np.ndarray, document_lengths: np.ndarray
    ) -> None:
        """Append documents.

        Args:
            tokens: token ids [t].
            sentence_lengths: tokens in each sentence, integers [s] that sum to t.
            document_lengths: sentences in each document, integers [d] that sum to s.
        """
        with writing_to(self.path):
            self._token_file.write(np.ascontiguousarray(tokens, self.dtype).data)
        self.tokens += len(tokens)
        self._sentence_lengths.append(sentence_lengths.astype(np.int32))
        self._document_lengths.append(document_lengths.astype(np.int32))

    def finish(self) -> TokenShardEntry:
        """Write the shard under its final name, and return the manifest's entry.

        Raises:
            UserError: the disk is full; nothing of the shard is left behind.
        """
        with writing_to(self.path):
            self._token_file.close()
        documents, sentences = _offsets(self._document_lengths), _offsets(self._sentence_lengths)
        # The int64 arrays come first, so that they are aligned for any number of tokens.
        offsets = {"document_offsets": documents, "sentence_offsets": sentences}
        with self._token_path.open("rb") as file:
            chunks = iter(lambda: file.read(_COPY_BYTES), b"")
            tokens = ("tokens", self.dtype, self.tokens)
            entry = write_safetensors(self.path, offsets, tokens, chunks)
        self._token_path.unlink()
        return {
            **entry,
            "tokens": self.tokens,
            "sentences": len(sentences) - 1,
            "documents": len(documents) - 1,
        }

    def abandon(self) -> None:
        """Remove what was written so far; harmless after ``finish``."""
        with contextlib.suppress(OSError):  # Closing also writes, and the disk may be full.
            self._token_file.close()
        self._token_path.unlink(missing_ok=True)


def _offsets(lengths: list[np.ndarray]) -> np.ndarray:
    """Cumulative sums that start at 0, int64 [n + 1]."""
    return np.cumsum(np.concatenate([np.zeros(1, np.int32), *lengths]), dtype="<i8")


@dataclass
class Counts:
    """What was read and written.

    Attributes:
        records: records read, including bad ones; in plain text each line is one.
        bad_records: records that could not be read.
        bytes_read: bytes of text, in UTF-8.
        documents: documents written.
        sentences: sentences written.
        tokens: tokens written.
        duplicate_documents: documents dropped as duplicates.
        duplicate_paragraphs: paragraphs dropped as duplicates from other documents.
        empty_documents: documents not written because they have no text, or none is left.
        characters: of the documents written, without white space.
        unknown_characters: those of them in words that become ``[UNK]``.
        unknown_in_long_words: those of these in words that are too long for the tokenizer.
    """

    records: Count = 0
    bad_records: Count = 0
    bytes_read: Count = 0
    documents: Count = 0
    sentences: Count = 0
    tokens: Count = 0
    duplicate_documents: Count = 0
    duplicate_paragraphs: Count = 0
    empty_documents: Count = 0
    characters: Count = 0
    unknown_characters: Count = 0
    unknown_in_long_words: Count = 0


@dataclass
class TokenResumeState(ResumeState):
    """Where in the corpus to resume.

    The hashes of the texts that occur first in a finished shard are in a file next to the shard.

    Attributes:
        position: the input, and the record in it, that the next shard begins with.
        counts: up to that position.
        first_bad: the first bad record, in words; empty if there is none.
        hashes_sha256: checksums of the files with hashes, one for each shard.
    """

    shards: list[TokenShardEntry] = field(default_factory=list)
    position: tuple[Count, Count] = (0, 0)
    counts: Counts = field(default_factory=Counts)
    first_bad: str = ""
    hashes_sha256: list[str] = field(default_factory=list)

    @property
    def done(self) -> str:
        return f"{len(self.shards)} finished shards, {self.counts.tokens} tokens"

    @property
    def problem_count(self) -> int:
        return self.counts.bad_records

    def damage(self, folder: Path) -> str | None:
        return super().damage(folder) or next(filter(None, self._damages_of_hashes(folder)), None)

    def _damages_of_hashes(self, folder: Path) -> Iterator[str | None]:
        if len(self.hashes_sha256) != len(self.shards):
            yield f"{folder / PROGRESS_FILE}: made by an earlier version"
        for index, sha256 in enumerate(self.hashes_sha256):
            path = _hashes_file(folder, index)
            if not path.is_file():
                yield f"{path}: missing"
            elif file_sha256(path) != sha256:
                yield f"{path}: its checksum is another (altered or damaged)"


def save_hashes(folder: Path, index: int, hashes: np.ndarray) -> str:
    """Write the hashes, uint64 [n], of the texts that occur first in a shard.

    Returns:
        the file's checksum.
    """
    data = hashes.astype("<u8").tobytes()
    write_bytes(_hashes_file(folder, index), data)
    return hashlib.sha256(data).hexdigest()


def load_hashes(folder: Path, index: int) -> np.ndarray:
    refuse_special(_hashes_file(folder, index))
    return np.frombuffer(_hashes_file(folder, index).read_bytes(), "<u8")


def _hashes_file(folder: Path, index: int) -> Path:
    return folder / f"hashes-{index:05d}.u64"
