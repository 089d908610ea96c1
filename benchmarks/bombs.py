"""Small files that become huge when they are read: one for each reader, and the commands for them.

``write_bombs`` makes them in a folder. Unpacked they have ``UNPACKED`` bytes, more than any command
may take.
"""

import binascii
import bz2
import gzip
import json
import lzma
import multiprocessing
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard

UNPACKED = 2 << 30
_PIECE = b"a" * (32 << 20)
_BRACKETS = 100_000
# The dictionary of an .xz file: byte 38 is 1.5 GiB (xz file format, §5.3.1).
_HUGE_DICTIONARY = 38
_MEGAPIXELS = 100


def write_bombs(folder: Path, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, Path]]:
    """Write those that are wanted, one after another; yields the name and the file of each."""
    for name, write in _WRITERS.items():
        if is_wanted(name):
            path = folder / name
            # In a process of its own: what writing takes would be counted for the commands that
            # are forked from this one.
            writer = multiprocessing.get_context("fork").Process(target=write, args=(path,))
            writer.start()
            writer.join()
            assert writer.exitcode == 0, name
            yield name, path


def _endless(start: bytes, end: bytes = b"") -> Callable[[Path], None]:
    """A compressed file with one endless line after ``start``.

    Each of these formats allows several streams after one another.
    """

    def write(path: Path) -> None:
        compress = _COMPRESSORS[path.suffix]
        with path.open("wb") as file:
            file.write(compress(start))
            piece = compress(_PIECE)
            for _ in range(UNPACKED // len(_PIECE)):
                file.write(piece)
            file.write(compress(end))

    return write


_COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
    ".bz2": bz2.compress,
}


def _write_zip(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("texts.txt", "w", force_zip64=True) as file,
    ):
        for _ in range(UNPACKED // len(_PIECE)):
            file.write(_PIECE)


def _write_huge_dictionary(path: Path) -> None:
    """An .xz file that asks for a dictionary of 1.5 GiB to unpack a few bytes."""
    data = bytearray(lzma.compress(b"A text.\n" * 100))
    # After the stream's header of 12 bytes: the block's header, its size, flags and filter.
    size = (data[12] + 1) * 4
    assert data[14:16] == b"\x21\x01", "the filter is LZMA2"
    data[16] = _HUGE_DICTIONARY
    checked = bytes(data[12 : 12 + size - 4])
    data[12 + size - 4 : 12 + size] = binascii.crc32(checked).to_bytes(4, "little")
    path.write_bytes(data)


def _write_parquet(path: Path) -> None:
    """Many rows in one row group, each the same long text: the dictionary holds it once."""
    import pyarrow
    import pyarrow.parquet

    rows = UNPACKED // 10_000
    texts = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([number % 2 for number in range(rows)], pyarrow.int32()),
        ["word " * 2000, "word " * 2000 + "end"],
    )
    labels = pyarrow.array(["up", "down"] * (rows // 2) + ["up"] * (rows % 2))
    table = pyarrow.table({"text": texts, "label": labels})
    pyarrow.parquet.write_table(table, path, row_group_size=rows)


def _write_parquet_value(path: Path) -> None:
    """A few values of hundreds of megabytes in one row group."""
    import pyarrow
    import pyarrow.parquet

    long = "word " * (UNPACKED // 5 // 4)
    with pyarrow.parquet.ParquetWriter(
        path, pyarrow.schema({"text": pyarrow.large_string(), "label": pyarrow.string()})
    ) as writer:
        for label in ("up", "down", "up", "down"):
            values = pyarrow.array([long], pyarrow.large_string())
            writer.write_table(pyarrow.table({"text": values, "label": [label]}))


_SHEET_PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
    'content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
    'relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.'
    'openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/'
    'worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    'relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/'
    'officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/'
    'main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
    '<sheet name="s" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/'
    'package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/'
    'officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}


def _write_sheet(path: Path) -> None:
    """A sheet whose second cell is endless."""
    start = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row r="1"><c t="inlineStr"><is><t>text</t></is></c><c t="inlineStr"><is><t>label</t></is>'
        '</c></row><row r="2"><c t="inlineStr"><is><t>'
    )
    end = "</t></is></c></row></sheetData></worksheet>"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in _SHEET_PARTS.items():
            archive.writestr(name, content)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as file:
            file.write(start.encode())
            for _ in range(UNPACKED // len(_PIECE)):
                file.write(_PIECE)
            file.write(end.encode())


def _write_brackets(path: Path) -> None:
    path.write_text("[" * _BRACKETS + "]" * _BRACKETS + "\n")


def _write_bracket_lines(path: Path) -> None:
    line = '{"text": ' + "[" * _BRACKETS + "]" * _BRACKETS + ', "label": "up"}\n'
    path.write_text(line + json.dumps({"text": "A text.", "label": "up"}) + "\n")


def _write_images(folder: Path) -> None:
    """Two classes with three images each of 100 million pixels, which compress to little."""
    from PIL import Image

    side = int((_MEGAPIXELS * 1_000_000) ** 0.5)
    for label, colour in (("dark", (9, 9, 9)), ("light", (250, 250, 250))):
        (folder / label).mkdir(parents=True)
        image = Image.new("RGB", (side, side), colour)
        for number in range(3):
            image.putpixel((number, 0), (100, 0, 0))
            image.save(folder / label / f"{number}.png")


_WRITERS: dict[str, Callable[[Path], None]] = {
    "endless.txt.gz": _endless(b"A text. "),
    "endless.txt.xz": _endless(b"A text. "),
    "endless.txt.zst": _endless(b"A text. "),
    "endless.txt.bz2": _endless(b"A text. "),
    "endless.zip": _write_zip,
    "endless.csv.gz": _endless(b'text,label\n"'),
    "endless.tsv.gz": _endless(b"text\tlabel\n"),
    "endless.jsonl.gz": _endless(b'{"text": "', b'", "label": "up"}\n'),
    "endless.conll.gz": _endless(b"The O\ncat O\n"),
    "endless.json.gz": _endless(b'{"data": [{"paragraphs": [{"context": "'),
    "dictionary.txt.xz": _write_huge_dictionary,
    "repeated.parquet": _write_parquet,
    "long.parquet": _write_parquet_value,
    "sheet.xlsx": _write_sheet,
    "brackets.json": _write_brackets,
    "brackets.jsonl": _write_bracket_lines,
    "images": _write_images,
}
