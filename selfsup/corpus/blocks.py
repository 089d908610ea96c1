"""Blocks of records: gather records for a worker, and what the worker does with their texts.

A worker turns the texts into token ids with the boundaries of sentences, paragraphs and records.

Letters in shapes: ``R`` records of a block, ``P`` their paragraphs, ``S`` sentences, ``T`` tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from selfsup.corpus.readers.documents import BadRecord, BadRecordCounter
from selfsup.corpus.readers.sources import RecordStream
from selfsup.corpus.text import clean_paragraphs, guess_language, split_sentences
from selfsup.corpus.tokenizer.wordpiece import WordPieceEncoder
from selfsup.shards.folder import report_problem

_BLOCK_BYTES = 1 << 19


@dataclass(frozen=True)
class EncodedBlock:
    """Encoded records, in order; a record without text has no paragraphs.

    Attributes:
        record_hashes: uint64 [R], of the cleaned text.
        record_paragraphs: int32 [R], paragraphs in each record.
        paragraph_hashes: uint64 [P].
        paragraph_sentences: int32 [P], sentences in each paragraph, at least one.
        sentence_lengths: int32 [S], tokens in each sentence, at least one.
        tokens: token ids, uint16 or uint32 [T].
        record_characters: int64 [3 R], of each record the counts of ``UnknownCharacters``.
    """

    record_hashes: np.ndarray
    record_paragraphs: np.ndarray
    paragraph_hashes: np.ndarray
    paragraph_sentences: np.ndarray
    sentence_lengths: np.ndarray
    tokens: np.ndarray
    record_characters: np.ndarray

    def to_bytes(self) -> list[bytes]:
        """The arrays' bytes in the order of the attributes."""
        return [getattr(self, name).tobytes() for name in self.__dataclass_fields__]

    @classmethod
    def from_bytes(cls, parts: Sequence[bytes], token_dtype: np.dtype) -> "EncodedBlock":
        """The reverse of ``to_bytes``."""
        dtypes = (np.uint64, np.int32, np.uint64, np.int32, np.int32, token_dtype, np.int64)
        return cls(*map(np.frombuffer, parts, dtypes))


def encode_block(texts: Sequence[str], encoder: WordPieceEncoder, language: str) -> EncodedBlock:
    """Clean the records' texts, split them into sentences and encode these.

    The language is an ISO 639-1 code, or ``"auto"`` to guess it for each document.
    """
    record_hashes: list[bytes] = []
    paragraphs_per_record: list[int] = []
    paragraph_hashes: list[bytes] = []
    sentences_per_paragraph: list[int] = []
    sentences: list[str] = []
    sentence_records: list[int] = []
    for record, text in enumerate(texts):
        spoken = guess_language(text) if language == "auto" else language
        paragraphs = clean_paragraphs(text)
        hashes = [_hash64(paragraph.encode(), b"paragraph") for paragraph in paragraphs]
        for paragraph in paragraphs:
            in_paragraph = split_sentences(paragraph, spoken)
            sentences_per_paragraph.append(len(in_paragraph))
            sentences += in_paragraph
            sentence_records += [record] * len(in_paragraph)
        paragraphs_per_record.append(len(paragraphs))
        paragraph_hashes += hashes
        record_hashes.append(_hash64(b"".join(hashes), b"document"))

    encoded = encoder.encode_batch(sentences)
    record_characters = np.zeros((len(texts), 3), np.int64)
    np.add.at(record_characters, sentence_records, encoder.count_characters(sentences, encoded))
    # Sentences and paragraphs without a token, such as a lone zero-width character, are dropped.
    sentence_lengths = np.array([len(ids) for ids in encoded], np.int32) // encoder.dtype.itemsize
    paragraph_sentences = _kept_per_group(sentence_lengths > 0, sentences_per_paragraph)
    record_paragraphs = _kept_per_group(paragraph_sentences > 0, paragraphs_per_record)
    return EncodedBlock(
        record_hashes=np.frombuffer(b"".join(record_hashes), "<u8"),
        record_paragraphs=record_paragraphs,
        paragraph_hashes=np.frombuffer(b"".join(paragraph_hashes), "<u8")[paragraph_sentences > 0],
        paragraph_sentences=paragraph_sentences[paragraph_sentences > 0],
        sentence_lengths=sentence_lengths[sentence_lengths > 0],
        tokens=np.frombuffer(b"".join(encoded), encoder.dtype),
        record_characters=record_characters.ravel(),
    )


def _kept_per_group(kept: np.ndarray, group_sizes: list[int]) -> np.ndarray:
    """How many items of each group are kept: bool [n], sizes of g groups in order → int32 [g]."""
    group_of_item = np.repeat(np.arange(len(group_sizes)), group_sizes)
    return np.bincount(group_of_item[kept], minlength=len(group_sizes)).astype(np.int32)


def _hash64(data: bytes, kind: bytes) -> bytes:
    """Hash to 8 bytes; the hash depends on the kind of data too."""
    return blake2b(data, digest_size=8, person=kind).digest()


@dataclass(frozen=True)
class RecordBlock:
    """Where the ``R`` records of a block come from; bad records are included, without text.

    Attributes:
        positions: int64 [R, 2], the input and the number of the record in it.
        text_bytes: int64 [R], length in UTF-8.
        lines: int64 [R], how many records each counts as: its lines, in plain text.
        problems: for each record, why it is bad, or an empty string.
    """

    positions: np.ndarray
    text_bytes: np.ndarray
    lines: np.ndarray
    problems: list[str]


def read_blocks(
    stream: RecordStream, counter: BadRecordCounter, folder: Path
) -> Iterator[tuple[RecordBlock, list[bytes]]]:
    """Gather records into blocks; bad ones are reported in the shards folder as they are met.

    Yields:
        Where the records of a block come from, and their texts in UTF-8.

    Raises:
        UserError: too many records are bad.
    """
    rows: list[tuple[tuple[int, int], bytes, int, str]] = []
    size = 0
    for input_index, number, record in stream:
        position = (input_index, number)
        if isinstance(record, BadRecord):
            report_problem(folder, record.source, record.line, record.reason)
            rows.append((position, b"", 1, str(record)))
        else:
            rows.append((position, record.text.encode(), record.records, ""))
        counter.count(record)
        size += len(rows[-1][1])
        if size >= _BLOCK_BYTES or len(rows) >= _BLOCK_BYTES // 64:
            yield _record_block(rows)
            rows, size = [], 0
    if rows:
        yield _record_block(rows)
    counter.check_fraction()


def _record_block(
    rows: list[tuple[tuple[int, int], bytes, int, str]],
) -> tuple[RecordBlock, list[bytes]]:
    positions, texts, lines, problems = map(list, zip(*rows, strict=True))
    sizes = np.array([len(text) for text in texts], np.int64)
    block = RecordBlock(np.array(positions, np.int64), sizes, np.array(lines, np.int64), problems)
    return block, texts
