"""Read documents from plain text files."""

from collections.abc import Iterator
from typing import BinaryIO

from selfsup.corpus.readers.documents import BadRecord, Document, Record

# Longer documents, such as a file of many gigabytes without a blank line, are split.
_LONGEST_DOCUMENT = 4 << 20
_LONGEST_LINE_BYTES = 1 << 20


def read_plain_text(file: BinaryIO, source: str, documents: str) -> Iterator[Record]:
    """Read a file whose documents are the whole "file", parts between a "blank-line", or a "line".

    In the first case blank lines separate paragraphs, whose lines are joined. In the second each
    line is a paragraph, as in BERT's corpus. A line that is not UTF-8 is left out.
    """
    by_file = documents == "file"
    paragraphs: list[list[str]] = []
    first_line, size, lines = 1, 0, 0
    for number, text in _decoded_lines(file, source):
        if isinstance(text, BadRecord):
            yield text
            continue
        if text:
            if not lines and not by_file:
                first_line = number
            if not (by_file and paragraphs):
                paragraphs.append([])
            paragraphs[-1].append(text)
            size += len(text)
            lines += 1
        elif by_file and lines and paragraphs[-1]:
            paragraphs.append([])
        ends = documents == "line" or not (by_file or text)
        if lines and (ends or size >= _LONGEST_DOCUMENT):
            yield _document(paragraphs, source, first_line, lines)
            paragraphs, first_line, size, lines = [], number + 1, 0, 0
    if lines:
        yield _document(paragraphs, source, first_line, lines)


def _document(paragraphs: list[list[str]], source: str, line: int, records: int) -> Document:
    return Document(f"{source}:{line}", "\n".join(map(" ".join, paragraphs)), source, records)


def _decoded_lines(file: BinaryIO, source: str) -> Iterator[tuple[int, str | BadRecord]]:
    """Lines with their numbers, stripped of white space."""
    for number, line in _lines(file):
        try:
            yield number, line.decode().strip()
        except UnicodeDecodeError as error:
            yield number, BadRecord(source, number, f"byte {error.start + 1} is not UTF-8")


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; a line too long for memory is split at spaces."""
    number = 1
    rest = b""
    while piece := file.readline(_LONGEST_LINE_BYTES):
        is_whole = len(piece) < _LONGEST_LINE_BYTES or piece.endswith(b"\n")
        if number == 1 and not rest:
            piece = piece.removeprefix(b"\xef\xbb\xbf")
        piece = rest + piece
        cut = len(piece) if is_whole else _split_position(piece)
        yield number, piece[:cut]
        rest = piece[cut:]
        number += is_whole
    if rest:
        yield number, rest


def _split_position(piece: bytes) -> int:
    """The position after the last space or, without one, before the last character.

    That character may be incomplete.
    """
    space = piece.rfind(b" ")
    if space >= 0:
        return space + 1
    cut = len(piece) - 1
    while cut > 0 and piece[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut
