"""Drop duplicates from encoded blocks and write what is left to shards of a given size."""

from pathlib import Path

import numpy as np

from selfsup.corpus.blocks import EncodedBlock, RecordBlock
from selfsup.corpus.duplicates import KeptText, SeenHashes, drop_duplicates
from selfsup.shards.tokens import ShardWriter
from selfsup.shards.unfinished_tokens import Unfinished, load_hashes, save_hashes


class CorpusWriter:
    """Writes shards, and after each of them the state from which to go on."""

    def __init__(self, folder: Path, state: Unfinished, dtype: np.dtype, shard_tokens: int) -> None:
        """Args:
        folder: the shards folder.
        state: where to go on from; kept up to date.
        dtype: of the token ids.
        shard_tokens: a shard ends with the document that brings it to so many tokens.
        """
        self.state = state
        self._folder = folder
        self._dtype = dtype
        self._shard_tokens = shard_tokens
        self._seen = SeenHashes(folder)
        for index in range(len(state.shards)):
            self._seen.add(load_hashes(folder, index))
        self._new_hashes: list[np.ndarray] = []
        self._writer: ShardWriter | None = None

    def add(self, records: RecordBlock, encoded: EncodedBlock) -> None:
        """Write one block; blocks come in the order of the corpus.

        Raises:
            UserError: the disk is full; finished shards stay.
        """
        kept = drop_duplicates(encoded, self._seen)
        first = 0
        while first < len(kept.record_tokens):
            # Shards end where the documents say, not where blocks do, so that a shard's bytes
            # depend neither on the workers nor on an interruption.
            written = self._writer.tokens if self._writer else 0
            ends = written + np.cumsum(kept.record_tokens[first:]) >= self._shard_tokens
            is_full = bool(ends.any())
            end = first + int(ends.argmax()) + 1 if is_full else len(kept.record_tokens)
            self._add_records(records, kept, first, end)
            if is_full:
                self._finish_shard()
            first = end

    def finish(self) -> None:
        """Write the last shard."""
        if self._writer:
            self._finish_shard()

    def abandon(self) -> None:
        """Remove what was written of an unfinished shard."""
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
                name = f"shard-{len(self.state.shards):05d}.safetensors"
                self._writer = ShardWriter(self._folder / name, self._dtype)
            self._writer.add(tokens, sentence_lengths, document_lengths)
        here = (kept.new_hash_records >= first) & (kept.new_hash_records < end)
        self._new_hashes.append(kept.new_hashes[here])

        problems = list(filter(None, records.problems[first:end]))
        duplicates = int(kept.is_duplicate[first:end].sum())
        counts = self.state.counts
        counts.records += int(records.lines[first:end].sum())
        counts.bad_records += len(problems)
        counts.bytes_read += int(records.text_bytes[first:end].sum())
        counts.documents += len(document_lengths)
        counts.sentences += len(sentence_lengths)
        counts.tokens += len(tokens)
        counts.duplicate_documents += duplicates
        counts.duplicate_paragraphs += int(kept.duplicate_paragraphs[first:end].sum())
        counts.empty_documents += (
            len(sentences) - len(document_lengths) - duplicates - len(problems)
        )
        self.state.first_bad = self.state.first_bad or next(iter(problems), "")
        input_index, record = records.positions[end - 1].tolist()
        self.state.position = (input_index, record + 1)

    def _finish_shard(self) -> None:
        assert self._writer
        hashes = np.concatenate(self._new_hashes)
        entry = self._writer.finish()
        save_hashes(self._folder, len(self.state.shards), hashes)
        self.state.shards.append(entry)
        self.state.save(self._folder)
        self._writer = None
        self._new_hashes = []
