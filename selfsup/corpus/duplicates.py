"""Drop texts that were seen before, by 64-bit hashes, in bounded memory.

Among n different texts about n² / 2⁶⁵ are wrongly dropped as duplicates: none is expected in a
hundred million paragraphs.
"""

import mmap
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selfsup.atomic_files import writing_to
from selfsup.corpus.blocks import EncodedBlock

_EMPTY = np.uint64(0)
_FULLEST = 0.6
_REHASHED_AT_ONCE = 1 << 20
# The pages of a mapped table count as this process's memory until it releases them; the system
# still keeps them cached. One key touches one page: 4 KiB × 24,576 = 96 MiB.
_KEYS_BEFORE_RELEASE = 3 << 13


class SeenHashes:
    """A set of uint64: open addressing with linear probing, in memory, then in a file."""

    def __init__(
        self, folder: Path, *, capacity: int = 1 << 20, memory_bytes: int = 64 << 20
    ) -> None:
        """Args:
        folder: where the table's file goes once the table outgrows memory; the file has no name
            and vanishes with the process.
        capacity: initial number of slots, a power of two.
        memory_bytes: the largest table that is kept in memory.
        """
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._mapping: mmap.mmap | None = None
        self._table = self._new_table(capacity)
        self._length = 0
        self._keys_since_release = 0

    def __len__(self) -> int:
        return self._length

    def add(self, hashes: np.ndarray) -> np.ndarray:
        """Add hashes, uint64 [n], and say which were new.

        Returns:
            bool [n]: true at the first occurrence of each hash not added before.

        Raises:
            UserError: the table must grow and the disk is full.
        """
        unique, first = np.unique(hashes, return_index=True)
        if self._length + len(unique) > _FULLEST * len(self._table):
            self._grow(self._length + len(unique))
        # The table marks free slots with 0, so a hash of 0 is stored as 1.
        new = self._insert(np.maximum(unique, np.uint64(1)))
        self._length += int(new.sum())
        result = np.zeros(len(hashes), bool)
        result[first[new]] = True
        return result

    def _insert(self, keys: np.ndarray) -> np.ndarray:
        mask = np.uint64(len(self._table) - 1)
        slots = keys & mask
        new = np.zeros(len(keys), bool)
        pending = np.arange(len(keys))
        while len(pending):
            wanted, at = keys[pending], slots[pending]
            free = self._table[at] == _EMPTY
            # If several keys meet in one free slot, the last one written stays.
            self._table[at[free]] = wanted[free]
            found = self._table[at] == wanted
            new[pending[free & found]] = True
            pending = pending[~found]
            slots[pending] = (slots[pending] + np.uint64(1)) & mask
        self._keys_since_release += len(keys)
        if self._keys_since_release > _KEYS_BEFORE_RELEASE:
            self._keys_since_release = 0
            _release_pages(self._mapping)
        return new

    def _grow(self, needed: int) -> None:
        capacity = len(self._table)
        while needed > _FULLEST * capacity:
            capacity *= 2
        old, old_mapping = self._table, self._mapping
        self._table = self._new_table(capacity)
        for start in range(0, len(old), _REHASHED_AT_ONCE):
            part = old[start : start + _REHASHED_AT_ONCE]
            keys = part[part != _EMPTY]
            for first in range(0, len(keys), _KEYS_BEFORE_RELEASE):
                self._insert(keys[first : first + _KEYS_BEFORE_RELEASE])
            _release_pages(old_mapping)

    def _new_table(self, capacity: int) -> np.ndarray:
        size = capacity * _EMPTY.itemsize
        if size <= self._memory_bytes:
            return np.zeros(capacity, np.uint64)
        with writing_to(self._folder), tempfile.TemporaryFile(dir=self._folder) as file:
            # Write zeros, do not just extend the file: touching a page without disk space kills the
            # process.
            zeros = bytes(1 << 20)
            for _ in range(0, size, len(zeros)):
                file.write(zeros)
            file.flush()
            self._mapping = mmap.mmap(file.fileno(), size)
        return np.frombuffer(self._mapping, np.uint64)


def _release_pages(mapping: mmap.mmap | None) -> None:
    if mapping is not None and os.name == "posix":
        mapping.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True)
class KeptText:
    """The ``R`` records of a block without duplicates.

    Attributes:
        tokens: token ids [t].
        sentence_lengths: int32 [s].
        record_sentences: int64 [R], sentences kept of each record.
        record_tokens: int64 [R], tokens kept of each record.
        is_duplicate: bool [R], whether the whole text was seen before.
        duplicate_paragraphs: int64 [R], paragraphs dropped from records that are not duplicates.
        new_hashes: uint64 [h], of the records and paragraphs not seen before.
        new_hash_records: int64 [h], the record that each of them belongs to.
        record_characters: int64 [R, 3], the counts of ``UnknownCharacters``, with duplicate
            paragraphs; 0 of duplicate records.
    """

    tokens: np.ndarray
    sentence_lengths: np.ndarray
    record_sentences: np.ndarray
    record_tokens: np.ndarray
    is_duplicate: np.ndarray
    duplicate_paragraphs: np.ndarray
    new_hashes: np.ndarray
    new_hash_records: np.ndarray
    record_characters: np.ndarray


def drop_duplicates(block: EncodedBlock, seen: SeenHashes) -> KeptText:
    """Drop records seen before, and paragraphs seen before from the other records."""
    records = len(block.record_hashes)
    has_text = block.record_paragraphs > 0
    new_record = np.zeros(records, bool)
    new_record[has_text] = seen.add(block.record_hashes[has_text])

    paragraph_record = np.repeat(np.arange(records), block.record_paragraphs)
    in_new_record = new_record[paragraph_record]
    new_paragraph = np.zeros(len(paragraph_record), bool)
    new_paragraph[in_new_record] = seen.add(block.paragraph_hashes[in_new_record])

    sentence_kept = np.repeat(new_paragraph, block.paragraph_sentences)
    sentence_record = np.repeat(paragraph_record, block.paragraph_sentences)[sentence_kept]
    sentence_lengths = block.sentence_lengths[sentence_kept]
    dropped_paragraph = in_new_record & ~new_paragraph
    record_tokens = np.bincount(sentence_record, weights=sentence_lengths, minlength=records)
    return KeptText(
        tokens=block.tokens[np.repeat(sentence_kept, block.sentence_lengths)],
        sentence_lengths=sentence_lengths,
        record_sentences=np.bincount(sentence_record, minlength=records),
        record_tokens=record_tokens.astype(np.int64),
        is_duplicate=has_text & ~new_record,
        duplicate_paragraphs=np.bincount(paragraph_record[dropped_paragraph], minlength=records),
        new_hashes=np.concatenate(
            [block.record_hashes[new_record], block.paragraph_hashes[new_paragraph]]
        ),
        new_hash_records=np.concatenate(
            [np.flatnonzero(new_record), paragraph_record[new_paragraph]]
        ),
        record_characters=block.record_characters.reshape(records, 3) * new_record[:, None],
    )
