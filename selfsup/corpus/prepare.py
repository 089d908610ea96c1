"""Turn raw text into token shards: read, clean, split, drop duplicates, encode, write.

This process reads the corpus and writes the shards. Worker processes do the rest in between, a
block of documents at a time. The result does not depend on which worker did what.
"""

import contextlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from selfsup.atomic_files import locked
from selfsup.corpus.blocks import EncodedBlock, RecordBlock, read_blocks
from selfsup.corpus.duplicates import KeptText, SeenHashes, drop_duplicates
from selfsup.corpus.readers.documents import (
    DEFAULT_MAX_BAD_FRACTION,
    DEFAULT_TEXT_FIELD,
    BadRecordCounter,
)
from selfsup.corpus.readers.inputs import Input, find_inputs, inputs_sha256
from selfsup.corpus.readers.sources import RecordStream, TextDocuments
from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer, tokenizer_sha256
from selfsup.corpus.tokenizer.unknown import UnknownCharacters
from selfsup.corpus.tokenizer.wordpiece import vocabulary_size
from selfsup.corpus.workers import WorkerPool, default_workers
from selfsup.errors import UserError
from selfsup.progress import ProgressDisplay, seconds_left
from selfsup.settings.reading import FileFormat
from selfsup.shards.folder import (
    MANIFEST_FILE,
    PROBLEMS_FILE,
    PROGRESS_FILE,
    begin_or_resume,
    finish,
    finished_manifest,
    remove_traces,
    saying_how_to_resume,
)
from selfsup.shards.tokens import (
    TOKEN_SHARDS,
    Counts,
    ShardWriter,
    TokenResumeState,
    load_hashes,
    save_hashes,
    token_dtype,
)


def prepare(
    sources: Sequence[str],
    tokenizer_folder: str | Path,
    out: str | Path,
    *,
    workers: int | None = None,
    text_field: str = DEFAULT_TEXT_FIELD,
    text_documents: TextDocuments = "auto",
    language: str = "auto",
    shard_tokens: int = 1 << 26,
    max_bad_fraction: float = DEFAULT_MAX_BAD_FRACTION,
    file_format: FileFormat = FileFormat(),  # noqa: B008 - frozen
    show_progress: bool = True,
) -> dict[str, Any]:
    """Write token shards; resume an interrupted call; do nothing if all shards are there.

    The shards are the same, byte for byte, for any number of workers and interruptions.

    Args:
        sources: what to read; see ``read_documents``.
        tokenizer_folder: a tokenizer folder; it is copied into the shards folder.
        workers: worker processes; by default as many as there are cores, at most 16.
        text_field: the field or column that holds the text.
        text_documents: what a document is in plain text; see ``read_documents``.
        language: ISO 639-1 code for splitting sentences; ``"auto"`` guesses it for each document.
        shard_tokens: a shard ends with the document that brings it to at least this many tokens.
        max_bad_fraction: the fraction of the records that may be unreadable. They are skipped and
            listed in ``problems.jsonl``. ``BadRecordCounter`` says when the fraction is checked.
        file_format: what is known of the files' encoding and tables.

    Returns:
        The manifest, as in ``manifest.json``.

    Raises:
        UserError: a source or the tokenizer is wrong, too many records are unreadable, there is no
            text, ``out`` holds other shards, or the disk is full. Finished shards stay.
    """
    out = Path(out)
    tokenizer = load_tokenizer(tokenizer_folder)
    inputs = [found for found in find_inputs(sources) if not _is_inside(found, out)]
    identity = {
        "tokenizer_sha256": tokenizer_sha256(tokenizer),
        "inputs_sha256": inputs_sha256(inputs),
        "settings": {
            "text_field": text_field,
            "text_documents": text_documents,
            "language": language,
            "shard_tokens": shard_tokens,
            **file_format.given(),
        },
    }
    _refuse_other_files(out)
    display = ProgressDisplay("prepare", shown=show_progress, starts_with_line=False)

    def say(message: str) -> None:
        display.message(f"prepare: {message}")

    with display, locked(out):
        finished = finished_manifest(out, TOKEN_SHARDS, identity, say)
        if finished:
            return finished
        tokenizer_copy = out / "tokenizer"
        # A copy next to unfinished shards was made by an earlier call.
        is_copy_ours = not tokenizer_copy.exists() or TokenResumeState.load(out) is not None
        state = begin_or_resume(out, TOKEN_SHARDS, TokenResumeState(identity), say)
        save_tokenizer(tokenizer, tokenizer_copy)
        counter = BadRecordCounter(
            max_bad_fraction,
            records=state.counts.records,
            bad=state.counts.bad_records,
            first_bad=state.first_bad,
        )
        writer = CorpusWriter(out, state, token_dtype(vocabulary_size(tokenizer)), shard_tokens)
        stream = RecordStream(inputs, text_field, text_documents, file_format, start=state.position)
        stored_bytes = sum(found.size for found in inputs)  # 0 where unknown
        bytes_before = state.counts.bytes_read
        with (
            saying_how_to_resume(state),
            contextlib.closing(writer),
            WorkerPool(workers or default_workers(), tokenizer, language) as pool,
        ):
            for records, encoded in pool.encode(read_blocks(stream, counter, out)):
                writer.add(records, encoded)
                done = min(stream.bytes_read / stored_bytes, 1.0) if stored_bytes else None
                _show_progress(display, done, state.counts, bytes_before)
            writer.finish()
        if not state.shards:
            remove_traces(out)
            # Left in the folder, these would make the next call refuse it.
            (out / PROBLEMS_FILE).unlink(missing_ok=True)
            if is_copy_ours:
                shutil.rmtree(tokenizer_copy)
            raise UserError(f"{', '.join(map(str, sources))}: no text in it: name another corpus")
        totals = {
            "sources": [str(source) for source in sources],
            "vocab_size": vocabulary_size(tokenizer),
            **asdict(state.counts),
        }
        if note := UnknownCharacters.of_manifest(totals).note():
            say(note)
        return finish(out, TOKEN_SHARDS, state, totals)


def _show_progress(
    display: ProgressDisplay, done: float | None, counts: Counts, bytes_before: int
) -> None:
    rate = (counts.bytes_read - bytes_before) / display.seconds / 1e6
    fields = {"tokens": f"{counts.tokens / 1e6:.1f} M", "read": f"{rate:.1f} MB/s"}
    display.update(done, seconds_left(display.seconds, done), fields)


def _is_inside(found: Input, folder: Path) -> bool:
    """Whether an input lies in the shards folder, as when the shards are next to the texts."""
    scheme, _, path = found.url.rpartition("://")
    return scheme in ("", "file") and Path(path).resolve().is_relative_to(folder.resolve())


def _refuse_other_files(out: Path) -> None:
    """Raise a ``UserError`` for a folder with files that no earlier call wrote."""
    is_ours = (out / MANIFEST_FILE).exists() or TokenResumeState.load(out) is not None
    if not out.is_dir() or is_ours:
        return
    if (out / PROGRESS_FILE).exists() and (out / "tokenizer" / "tokenizer.json").exists():
        raise UserError(
            f"{out / PROGRESS_FILE}: damaged, or of another version: delete {out} and run prepare "
            "again"
        )
    others = [
        path.name
        for path in out.iterdir()
        if not path.name.startswith(".") and not re.fullmatch(r"shard-\d+\.safetensors", path.name)
    ]
    if others:
        raise UserError(
            f"--out {out}: holds other files ({min(others)}): choose a folder for the shards alone"
        )


class CorpusWriter:
    """Drops duplicates, writes shards and, after each of them, the state to resume from."""

    def __init__(
        self, folder: Path, state: TokenResumeState, dtype: np.dtype, shard_tokens: int
    ) -> None:
        """Begin at a state, which is kept up to date; ``dtype`` is that of the token ids."""
        self._folder = folder
        self._state = state
        self._dtype = dtype
        self._shard_tokens = shard_tokens
        self._seen = SeenHashes(folder)
        for index in range(len(state.shards)):
            self._seen.add(load_hashes(folder, index))
        self._new_hashes: list[np.ndarray] = []
        self._writer: ShardWriter | None = None

    def add(self, records: RecordBlock, encoded: EncodedBlock) -> None:
        """Write one block; blocks come in the order of the corpus."""
        kept = drop_duplicates(encoded, self._seen)
        first = 0
        while first < len(kept.record_tokens):
            # Where a shard ends depends on the documents, not on the blocks, so that its bytes
            # depend neither on the workers nor on an interruption.
            written = self._writer.tokens if self._writer else 0
            ends = written + np.cumsum(kept.record_tokens[first:]) >= self._shard_tokens
            is_full = bool(ends.any())
            end = first + int(ends.argmax()) + 1 if is_full else len(kept.record_tokens)
            self._add_records(records, kept, first, end)
            if is_full:
                self.finish()
            first = end

    def finish(self) -> None:
        """Write the shard that has been begun, if one has."""
        if self._writer is None:
            return
        entry = self._writer.finish()
        hashes = np.concatenate(self._new_hashes)
        sha256 = save_hashes(self._folder, len(self._state.shards), hashes)
        self._state.hashes_sha256.append(sha256)
        self._state.shards.append(entry)
        self._state.save(self._folder)
        self._writer = None
        self._new_hashes = []

    def close(self) -> None:
        """Remove the unfinished shard, if there is one."""
        if self._writer:
            self._writer.abandon()

    def _add_records(self, records: RecordBlock, kept: KeptText, first: int, end: int) -> None:
        sentences = kept.record_sentences[first:end]
        first_sentence = int(kept.record_sentences[:first].sum())
        sentence_lengths = kept.sentence_lengths[first_sentence:][: sentences.sum()]
        first_token = int(kept.record_tokens[:first].sum())
        tokens = kept.tokens[first_token:][: kept.record_tokens[first:end].sum()]
        document_lengths = sentences[sentences > 0]
        if len(document_lengths):
            if self._writer is None:
                name = f"shard-{len(self._state.shards):05d}.safetensors"
                self._writer = ShardWriter(self._folder / name, self._dtype)
            self._writer.add(tokens, sentence_lengths, document_lengths)
        here = (kept.new_hash_records >= first) & (kept.new_hash_records < end)
        self._new_hashes.append(kept.new_hashes[here])

        problems = list(filter(None, records.problems[first:end]))
        duplicates = int(kept.is_duplicate[first:end].sum())
        counts = self._state.counts
        counts.records += int(records.lines[first:end].sum())
        counts.bad_records += len(problems)
        counts.bytes_read += int(records.text_bytes[first:end].sum())
        counts.documents += len(document_lengths)
        counts.sentences += len(sentence_lengths)
        counts.tokens += len(tokens)
        characters, unknown, in_long_words = kept.record_characters[first:end].sum(axis=0).tolist()
        counts.characters += characters
        counts.unknown_characters += unknown
        counts.unknown_in_long_words += in_long_words
        counts.duplicate_documents += duplicates
        counts.duplicate_paragraphs += int(kept.duplicate_paragraphs[first:end].sum())
        written_or_dropped = len(document_lengths) + duplicates + len(problems)
        counts.empty_documents += len(sentences) - written_or_dropped
        self._state.first_bad = self._state.first_bad or next(iter(problems), "")
        input_index, record = records.positions[end - 1].tolist()
        self._state.position = (input_index, record + 1)
