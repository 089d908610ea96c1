"""Reading takes bounded memory, whatever a file unpacks to; the bounds are small here."""

import bz2
import gzip
import json
import lzma
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from selfsup.corpus.readers import bounds, documents, tables
from selfsup.corpus.readers.inputs import find_inputs
from selfsup.corpus.readers.sources import RecordStream, read_documents
from selfsup.errors import UserError
from selfsup.tasks.question_answering.files import read_squad
from selfsup.tasks.tables import Columns, read_row_blocks, read_rows
from selfsup.tasks.token_classification import columns
from selfsup.tasks.token_classification.columns import read_conll, read_conll_blocks
from selfsup.tasks.token_classification.files import read_tagged_file
from tests.fuzz.target import run_command

MIB = 1 << 20
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
}
needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")


def write_endless(path: Path, size: int) -> str:
    """A line of this many bytes, which is compressed to few; the path or address to read."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("c.txt", b"a" * size)
        return f"zip://c.txt::{path}"
    path.write_bytes(COMPRESS[path.suffix](b"a" * size))
    return str(path)


def write_rows(path: Path, count: int) -> str:
    """A labelled table."""
    rows = [
        {"text": f"a text {number}", "label": ("up", "down")[number % 2]} for number in range(count)
    ]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".xlsx":
        book = pytest.importorskip("openpyxl").Workbook()
        for row in [["text", "label"], *(list(row.values()) for row in rows)]:
            book.active.append(row)
        book.save(path)
    else:
        separator = "," if path.suffix == ".csv" else "\t"
        lines = [separator.join(("text", "label")), *(separator.join(r.values()) for r in rows)]
        path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("ending", [*COMPRESS, ".zip"])
def test_an_endless_line_is_read_in_parts(tmp_path, ending):
    file = write_endless(tmp_path / f"c.txt{ending}", 96 * MIB)
    tracemalloc.start()
    try:
        letters = (document.text.count("a") for document in read_documents([file]))
        assert sum(letters) == 96 * MIB
        assert tracemalloc.get_traced_memory()[1] < 88 * MIB
    finally:
        tracemalloc.stop()


def test_an_xz_file_that_asks_for_a_large_dictionary_is_refused(tmp_path, monkeypatch):
    (tmp_path / "c.txt.xz").write_bytes(lzma.compress(b"A text.", preset=6))
    assert [document.text for document in read_documents([str(tmp_path)])] == ["A text."]
    monkeypatch.setattr(bounds, "MOST_XZ_BYTES", MIB)
    with pytest.raises(UserError, match=r"c\.txt\.xz: unpacking it takes more than 1 MiB"):
        list(read_documents([str(tmp_path)]))


@pytest.mark.parametrize("name", ["c.parquet", "c.xlsx"])
def test_a_file_that_would_fill_the_disk_is_not_unpacked(tmp_path, monkeypatch, name):
    write_rows(tmp_path / name, 500)
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    monkeypatch.setattr(bounds, "MOST_UNPACKED_BYTES", 1024)
    monkeypatch.setattr(bounds, "shown_size", str)
    with pytest.raises(UserError, match=rf"{name}\.gz: unpacks to more than 1024"):
        read_rows(str(packed))


@needs_limits
def test_a_row_group_that_unpacks_to_far_more_than_the_bound_is_read_in_parts(
    tmp_path, monkeypatch
):
    """Its texts are one entry of a dictionary, repeated."""
    texts = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 30_000, pyarrow.int32()), ["word " * 2000]
    )
    file = tmp_path / "c.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), file, row_group_size=30_000)
    assert file.stat().st_size < MIB
    monkeypatch.setattr(bounds, "MOST_WORKING_BYTES", 64 * MIB)  # unpacked: 286 MiB
    stream = RecordStream(find_inputs([str(file)]))
    assert sum(1 for _ in stream) == 30_000


WRITE_LONG_VALUE = """
import sys, pyarrow, pyarrow.parquet
pyarrow.parquet.write_table(pyarrow.table({"text": ["word " * (16 << 20)]}), sys.argv[1])
"""

# The bound is on how far the process grows. Memory that this one's earlier tests have freed, and
# its allocators have kept, would be used without growth: so a fresh process reads the file.
READ_IN_LITTLE_MEMORY = """
import sys
from selfsup.corpus.readers import bounds
from selfsup.corpus.readers.sources import read_documents
from selfsup.errors import UserError
bounds.MOST_WORKING_BYTES = 32 << 20
try:
    print("read:", len(list(read_documents([sys.argv[1]]))))
except UserError as error:
    print(error)
"""


@needs_limits
@pytest.mark.parametrize("name", ["c.parquet", "c.xlsx"])
def test_a_value_larger_than_the_bound_is_refused(tmp_path, name):
    file = tmp_path / name
    if name == "c.parquet":
        subprocess.run([sys.executable, "-c", WRITE_LONG_VALUE, str(file)], check=True)
    else:
        write_rows(file, 2)
        with zipfile.ZipFile(file) as archive:
            parts = {entry: archive.read(entry) for entry in archive.namelist()}
        sheet = "xl/worksheets/sheet1.xml"
        cell = b'<c r="A2" t="inlineStr"><is><t>' + b"a" * (100 * MIB) + b"</t></is></c>"
        start, end = parts[sheet].split(b'<row r="2">')
        parts[sheet] = start + b'<row r="2">' + cell + end
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for entry, content in parts.items():
                archive.writestr(entry, content)
    command = [sys.executable, "-c", READ_IN_LITTLE_MEMORY, str(file)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert f"{name}: reading it takes more than 32 MiB of memory" in ended.stdout


TABLES = ("c.csv", "c.tsv", "c.jsonl", "c.parquet", "c.xlsx")


@pytest.mark.parametrize("name", TABLES)
def test_a_labelled_table_is_held_up_to_a_bound_and_predicted_for_without_one(
    tmp_path, monkeypatch, name
):
    file = write_rows(tmp_path / name, 600)
    monkeypatch.setattr(bounds, "MOST_HELD_BYTES", MIB // 4)
    monkeypatch.setattr(bounds, "shown_size", str)
    with pytest.raises(UserError, match=rf"{name}, line \d+: up to here it takes more than 262144"):
        read_rows(file)
    assert sum(map(len, read_row_blocks(file, size=100))) == 600


def write_conll(path: Path, sentences: int) -> str:
    path.write_text("The O\ncat B-A\nsleeps O\n\n" * sentences)
    return str(path)


def test_tagged_sentences_are_held_up_to_a_bound_and_predicted_for_without_one(
    tmp_path, monkeypatch
):
    file = write_conll(tmp_path / "c.conll", 500)
    monkeypatch.setattr(bounds, "MOST_HELD_BYTES", MIB // 4)
    with pytest.raises(UserError, match=r"c\.conll, line \d+: up to here it takes more than"):
        read_conll(file, labelled=True)
    blocks = read_conll_blocks(file, Columns(), lambda note: None, 50, labelled=True)
    assert sum(map(len, blocks)) == 500
    (tmp_path / "c.txt").write_text("Some words without tags.\n" * 1000)
    with pytest.raises(UserError, match=r"c\.txt, line \d+: up to here it takes more than"):
        read_tagged_file(str(tmp_path / "c.txt"), Columns(), labelled=False)


def test_an_endless_line_among_tagged_words_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "c.conll"
    file.write_text("The O\ncat " + "a" * 5000)
    monkeypatch.setattr(columns, "LONGEST_RECORD_BYTES", 4096)
    with pytest.raises(UserError, match=r"c\.conll, line 2: longer than"):
        read_conll(str(file), labelled=True)


def test_a_long_file_of_questions_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "c.json.gz"
    file.write_bytes(gzip.compress(b'{"data": "' + b"a" * (4 * MIB)))
    monkeypatch.setattr(bounds, "MOST_JSON_BYTES", MIB)
    with pytest.raises(UserError, match=r"c\.json\.gz: longer than 1 MiB"):
        read_squad(str(file), labelled=True)


BRACKETS = "[" * 100_000 + "]" * 100_000


def test_a_hundred_thousand_brackets_are_one_line_of_error(tmp_path):
    (tmp_path / "c.json").write_text(BRACKETS)
    with pytest.raises(UserError, match=r"c\.json: not JSON \(nested too deeply\)"):
        read_squad(str(tmp_path / "c.json"), labelled=True)
    (tmp_path / "c.jsonl").write_text(f'{{"text": {BRACKETS}}}\n{{"text": "a"}}\n')
    with pytest.raises(UserError, match=r"c\.jsonl, line 1: not JSON \(nested too deeply\)"):
        read_rows(str(tmp_path / "c.jsonl"))
    stream = read_documents([str(tmp_path / "c.jsonl")], max_bad_fraction=0.5)
    assert [document.text for document in stream] == ["a"]


@pytest.mark.parametrize("name", ["c.csv", "c.tsv", "c.jsonl", "c.txt", "c.conll", "c.json"])
def test_doctor_says_what_is_too_long(tmp_path, monkeypatch, name):
    file = tmp_path / f"{name}.gz"
    start = {"c.json": b'{"data": "', "c.jsonl": b'{"text": "'}.get(name, b"text\tlabel\n")
    file.write_bytes(gzip.compress(start + b"a" * MIB))
    for module in (documents, tables, columns):
        monkeypatch.setattr(module, "LONGEST_RECORD_BYTES", 4096)
    for bound in ("MOST_HELD_BYTES", "MOST_JSON_BYTES"):
        monkeypatch.setattr(bounds, bound, 4096)
    status, said = run_command("doctor", str(file), "--json", names=(file.name,))
    assert status == 2 or json.loads(said)["problems"] or name == "c.txt"
