import bz2
import csv
import gzip
import importlib.util
import io
import json
import logging
import lzma
import sys
import tracemalloc
import zipfile
from typing import Any

import fsspec
import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.implementations.zip import ZipFileSystem

from selfsup.corpus.readers import compression
from selfsup.corpus.readers.documents import LONGEST_RECORD_BYTES
from selfsup.corpus.readers.inputs import find_inputs, inputs_sha256
from selfsup.corpus.readers.sources import read_documents
from selfsup.errors import UserError

ROWS = [
    {"id": "a", "title": "One", "text": "First text.\nSecond paragraph."},
    {"id": "b", "title": "Two", "text": '한국어, "quoted"\ttext.'},
]


def json_lines(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def csv_bytes(rows: list[dict], **options) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def parquet_bytes(rows: list[dict]) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), out)
    return out.getvalue()


def texts(*sources, **options) -> list[str]:
    return [document.text for document in read_documents([str(s) for s in sources], **options)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.jsonl", json_lines(ROWS)),
        ("c.ndjson", b"\xef\xbb\xbf" + json_lines(ROWS)),
        ("c.csv", csv_bytes(ROWS)),
        ("c.csv", b"\xef\xbb\xbf" + csv_bytes(ROWS, lineterminator="\n")),
        ("c.parquet", parquet_bytes(ROWS)),
        ("c.jsonl.gz", gzip.compress(json_lines(ROWS), mtime=0)),
        ("c.jsonl.xz", lzma.compress(json_lines(ROWS))),
        ("c.jsonl.bz2", bz2.compress(json_lines(ROWS))),
        ("c.jsonl.zst", zstandard.compress(json_lines(ROWS))),
        (
            "c.JSONL.GZ",
            gzip.compress(json_lines(ROWS[:1]), mtime=0)
            + gzip.compress(json_lines(ROWS[1:]), mtime=0),
        ),
        ("c.jsonl.zst", b"".join(zstandard.compress(json_lines([row])) for row in ROWS)),
        ("c.parquet.gz", gzip.compress(parquet_bytes(ROWS), mtime=0)),
        ("a::b.jsonl", json_lines(ROWS)),
    ],
)
def test_every_format_gives_the_same_documents(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    documents = list(read_documents([str(tmp_path / name)]))
    assert [(d.id, d.text) for d in documents] == [(row["id"], row["text"]) for row in ROWS]
    assert {d.source for d in documents} == {str(tmp_path / name)}


def test_tab_separated_values_take_quotes_as_they_are(tmp_path):
    path = tmp_path / "c.tsv"
    path.write_text('label\ttext\n1\t"a lone quote\n0\tsays "hello" to all\n1\t3\' 5"\n')
    assert texts(path) == ['"a lone quote', 'says "hello" to all', "3' 5\""]


def test_lines_are_numbered_as_an_editor_numbers_them(tmp_path):
    jsonl, table = tmp_path / "c.jsonl", tmp_path / "c.csv"
    jsonl.write_bytes(b'{"text": "one"}\n\n{"text": "three"}\n')
    assert [d.id for d in read_documents([str(jsonl)])] == ["1", "3"]
    table.write_bytes(b'text\n"one\ntwo"\nthree\n')
    assert [(d.id, d.text) for d in read_documents([str(table)])] == [
        ("2", "one\ntwo"),
        ("4", "three"),
    ]


def test_one_text_file_is_cut_into_documents_at_blank_lines(tmp_path):
    path = tmp_path / "c.txt"
    path.write_bytes(b"\n\nFirst line.\nSecond line.\n \nNext document.\n\n\n\nLast one")
    documents = list(read_documents([str(path)]))
    assert [d.text for d in documents] == [
        "First line.\nSecond line.",
        "Next document.",
        "Last one",
    ]
    assert [d.id for d in documents] == [f"{path}:{line}" for line in (3, 6, 10)]


def test_of_several_text_files_each_is_a_document_of_joined_lines(tmp_path):
    (tmp_path / "a.txt").write_text("A sentence wrapped\nby hand.\n\nNext paragraph\n")
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbfOther file without an end of line")
    assert texts(tmp_path) == [
        "A sentence wrapped by hand.\nNext paragraph",
        "Other file without an end of line",
    ]


def test_what_a_text_document_is_can_be_said(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n\nthree\n")
    assert texts(path, text_documents="file") == ["one two\nthree"]
    assert texts(path, text_documents="line") == ["one", "two", "three"]
    (tmp_path / "b.txt").write_text("four\n\nfive\n")
    assert texts(tmp_path, text_documents="blank-line") == ["one\ntwo", "three", "four", "five"]
    ids = [document.id for document in read_documents([str(path)], text_documents="line")]
    assert ids == [f"{path}:{line}" for line in (1, 2, 4)]


@pytest.mark.parametrize("mode", ["file", "blank-line", "line"])
@pytest.mark.parametrize("character", ["x ", "한", "x"])
def test_a_text_file_without_line_breaks_is_read_in_parts_and_nothing_is_lost(
    tmp_path, mode, character
):
    path = tmp_path / "a.txt"
    text = character * (5_000_000 // len(character.encode()))
    path.write_text(text, encoding="utf-8")
    joined = "".join(texts(path, text_documents=mode))
    assert "".join(joined.split()) == "".join(text.split())


@pytest.mark.parametrize("mode", ["file", "blank-line"])
def test_a_mark_at_the_beginning_cuts_no_character_of_a_long_line_and_counts_as_no_line(
    tmp_path, mode
):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "é".encode() * 600_000 + b"\n\nb\xffd\n")
    assert "".join(texts(path, text_documents=mode, max_bad_fraction=0.5)).split() == [
        "é" * 524_286, "é" * 75_714
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"a\.txt, line 3: byte 2 is not UTF-8"):
        texts(path, text_documents=mode)


def test_a_long_text_file_becomes_several_documents(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("A line of forty characters, or nearly so.\n" * 250_000)
    parts = texts(path, text_documents="file")
    assert len(parts) == 3
    assert max(map(len, parts)) < 5_000_000


def test_folders_are_read_in_order_without_hidden_and_foreign_files(tmp_path):
    for name in (
        "b/2.jsonl",
        "a.jsonl",
        "b/1.jsonl.gz",
        ".hidden/3.jsonl",
        ".4.jsonl",
        "image.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        content = json_lines([{"text": name}])
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert texts(tmp_path) == ["a.jsonl", "b/1.jsonl.gz", "b/2.jsonl"]
    assert texts(tmp_path / "b" / "*.jsonl") == ["b/2.jsonl"]
    assert texts(tmp_path / "**" / "*.jsonl*") == ["a.jsonl", "b/1.jsonl.gz", "b/2.jsonl"]


def test_what_was_made_of_texts_is_no_text(tmp_path):
    ours = [
        "runs/a/run.yaml", "runs/a/metrics.jsonl", "runs/a/tokenizer/vocab.txt",
        "shards/manifest.json", "shards/problems.jsonl", "shards/tokenizer/tokenizer.json",
        "model/tokenizer.json", "model/vocab.txt", "unfinished/progress.json",
        "unfinished/problems.jsonl", "unfinished/tokenizer/tokenizer.json",
    ]  # fmt: skip
    for name in (*ours, "a.txt", "runs/notes.txt", "data/manifest.json", "data/b.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n")
    assert texts(tmp_path) == ["a.txt", "data/b.txt", "runs/notes.txt"]
    assert texts(tmp_path / "**" / "*.*") == ["a.txt", "data/b.txt", "runs/notes.txt"]
    asked_for = tmp_path / "runs" / "a" / "tokenizer" / "*.txt"
    assert texts(asked_for) == ["runs/a/tokenizer/vocab.txt"]


def test_a_name_with_a_bracket_is_a_file_not_a_pattern(tmp_path):
    path = tmp_path / "c[1].jsonl"
    path.write_bytes(json_lines(ROWS))
    assert len(texts(path)) == 2


def test_any_fsspec_url_can_be_read():
    memory = fsspec.filesystem("memory")
    memory.pipe("/corpus/a.jsonl.gz", gzip.compress(json_lines(ROWS[:1])))
    memory.pipe("/corpus/b.parquet", parquet_bytes(ROWS[1:]))
    try:
        whole = [row["text"] for row in ROWS]
        assert texts("memory://corpus") == whole
        assert texts("memory://corpus/*") == whole
        assert texts("memory://corpus/b.parquet") == whole[1:]
    finally:
        memory.rm("/corpus", recursive=True)


def test_files_in_an_archive_are_read_one_by_one_by_pattern_or_all(tmp_path):
    archive = tmp_path / "c.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("d/a.jsonl.gz", gzip.compress(json_lines(ROWS[:1])))
        file.writestr("d/b.csv", csv_bytes(ROWS[1:]))
        file.writestr("d/c.parquet", parquet_bytes(ROWS[1:]))
    first, second = (row["text"] for row in ROWS)
    assert texts(f"zip://d/a.jsonl.gz::{archive}") == [first]
    assert texts(f"zip://d/c.parquet::{archive}") == [second]
    assert texts(f"zip://d/*.jsonl*::{archive}") == [first]
    for everything in ("zip://d", "zip://d/", "zip://"):
        assert texts(f"{everything}::{archive}") == [first, second, second]
    with pytest.raises(UserError, match=r"zip://d/b\.csv::.*c\.zip.*no field"):
        texts(f"zip://d/b.csv::{archive}", text_field="other")


def test_the_inputs_hash_changes_with_what_an_archive_holds(tmp_path):
    hashes = set()
    for text in ("one", "two"):
        with zipfile.ZipFile(tmp_path / "c.zip", "w") as file:
            file.writestr("a.txt", text)
        ZipFileSystem.clear_instance_cache()
        hashes.add(inputs_sha256(find_inputs([f"zip://a.txt::{tmp_path}/c.zip"])))
    assert len(hashes) == 2


def test_links_are_followed_but_not_in_circles(tmp_path):
    for name in ("in/a.jsonl", "elsewhere/b.jsonl", "elsewhere/deep/c.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(json_lines(ROWS[:1]))
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "d.jsonl").symlink_to(tmp_path / "in" / "a.jsonl")
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path)
    folder = str(tmp_path / "in")
    assert [found.name.removeprefix(folder) for found in find_inputs([folder])] == [
        "/a.jsonl", "/d.jsonl", "/link/b.jsonl", "/link/deep/c.jsonl",
    ]  # fmt: skip


class HostedFileSystem(MemoryFileSystem):
    """As on FTP the host is part of a URL, but not of a path."""

    protocol = "hosted"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        if path.startswith("hosted://"):
            path = path.removeprefix("hosted://").partition("/")[2]
        return super()._strip_protocol(path)

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        return {"host": path.removeprefix("hosted://").partition("/")[0]}

    def __init__(self, host: str) -> None:
        super().__init__(host=host)


def test_a_host_is_part_of_where_a_file_is():
    fsspec.register_implementation("hosted", HostedFileSystem, clobber=True)
    memory = fsspec.filesystem("memory")
    memory.pipe("/corpus/a.jsonl", json_lines(ROWS))
    try:
        for path in ("corpus/a.jsonl", "corpus", "corpus/*"):
            assert texts(f"hosted://one/{path}") == [row["text"] for row in ROWS]
            hashes = {
                inputs_sha256(find_inputs([f"{where}/{path}"]))
                for where in ("hosted://one", "hosted://two", "memory:/")
            }
            assert len(hashes) == 3
    finally:
        memory.rm("/corpus", recursive=True)


class StoreFileSystem(MemoryFileSystem):
    """As in s3fs, ``find`` knows no other options, and a file may be cut off while it is read."""

    protocol = "store"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("store:/"))

    def find(self, path: str, maxdepth=None, withdirs=False, detail=False) -> Any:
        return super().find(path, maxdepth, withdirs, detail)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        if "/locked/" in path:
            raise PermissionError("Access Denied")
        try:
            return super().info(path, **kwargs)
        except FileNotFoundError:
            raise FileNotFoundError(path) from None

    def open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        file: Any = super().open(path, mode, **kwargs)
        return CutFile(file.read()) if "cut" in path else file


class CutFile(io.BytesIO):
    def readinto(self, buffer: Any, /) -> int:
        if self.tell():
            raise RuntimeError("Response payload is not completed\nand more")
        return super().readinto(memoryview(buffer)[:100])


@pytest.fixture
def store():
    fsspec.register_implementation("store", StoreFileSystem, clobber=True)
    memory = fsspec.filesystem("memory")
    for name in ("deep/a.jsonl", "b.jsonl"):
        memory.pipe(f"/bucket/corpus/{name}", json_lines(ROWS))
    memory.pipe("/bucket/images/a.png", b"")
    memory.pipe("/bucket/cut.jsonl", json_lines(ROWS * 20))
    yield
    memory.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    "name", ["corpus", "corpus/", "corpus/*.jsonl", "corpus/**/*.jsonl", "corpus/b.jsonl"]
)
def test_an_object_store_is_read(store, name):
    whole = [row["text"] for row in ROWS]
    assert texts(f"store://bucket/{name}") in (whole, whole * 2)
    assert len(texts("store://bucket/corpus/")) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.txt", "no such file or folder: check the path"),
        ("none/", "no such file or folder: check the path"),
        ("images", "holds no file whose name ends in .*; images are read from local folders only"),
        ("locked/a.txt", r"cannot be opened \(Access Denied\)"),
        ("cut.jsonl", r"cannot be read \(Response payload is not completed\)$"),
    ],
)
def test_what_an_object_store_refuses_is_told_in_one_line(store, name, message):
    with pytest.raises(UserError, match=rf"^store://bucket/{name}: {message}"):
        texts(f"store://bucket/{name}")


class LockedFileSystem(fsspec.AbstractFileSystem):
    """Lists its folders one by one, as most file systems do; one of them must not be listed."""

    protocol = "locked"

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        if path.endswith("deep"):
            raise PermissionError("Access Denied")
        return [{"name": f"{path}/deep", "type": "directory", "size": 0}]


def test_a_folder_that_must_not_be_listed_is_not_passed_over():
    fsspec.register_implementation("locked", LockedFileSystem, clobber=True)
    with pytest.raises(UserError, match=r"locked://corpus: cannot be opened \(Access Denied\)"):
        texts("locked://corpus")


@pytest.mark.parametrize(("scheme", "library"), [("https", "aiohttp"), ("s3", "s3fs")])
def test_a_library_that_is_not_installed_is_named(scheme, library):
    if importlib.util.find_spec(library):
        pytest.skip(f"{library} is installed")
    with pytest.raises(UserError, match=rf"{scheme}://host/a.txt: needs {library}, .* {library}$"):
        texts(f"{scheme}://host/a.txt")


@pytest.mark.parametrize("name", ["a.csv", "a.CSV.gz"])
def test_a_query_is_no_part_of_a_files_name(name):
    address = f"https://host/{name}?token=1.2&name=b.txt"
    assert compression.format_suffix(address) == ".csv"
    assert compression.is_compressed(address) == name.endswith(".gz")


def test_a_hub_data_set_is_streamed(tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "data.jsonl").write_bytes(json_lines(ROWS))
    assert texts(f"hf://{tmp_path}") == [row["text"] for row in ROWS]
    with pytest.raises(UserError, match="cannot be loaded"):
        texts(f"hf://{tmp_path}?split=nonsense")


def test_a_hub_data_set_without_the_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'selfsup\[hub\]'"):
        texts("hf://some/name")


def test_the_only_column_of_running_text_is_taken_and_said(tmp_path, caplog):
    path = tmp_path / "c.csv"
    path.write_text("id,label,document\n1,good,A film I liked.\n2,bad,A film I did not.\n")
    with caplog.at_level(logging.WARNING):
        assert texts(path) == ["A film I liked.", "A film I did not."]
    assert 'no field "text", taking "document"' in caplog.text


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_missing_text_field_is_refused_with_the_fields_there_are(tmp_path, suffix):
    rows = [{"premise": "A man walks.", "hypothesis": "He is moving."}] * 3
    content = {".csv": csv_bytes, ".jsonl": json_lines, ".parquet": parquet_bytes}[suffix](rows)
    path = tmp_path / f"c{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"premise, hypothesis.*--text-field"):
        texts(path)
    with pytest.raises(UserError, match='no field "body"'):
        texts(path, text_field="body")
    assert texts(path, text_field="premise") == ["A man walks."] * 3


def test_a_parquet_file_without_strings_is_refused_with_the_columns_there_are(tmp_path):
    path = tmp_path / "c.parquet"
    path.write_bytes(parquet_bytes([{"id": 1, "score": 0.5, "tokens": [1, 2]}]))
    with pytest.raises(UserError, match=r'c\.parquet: no field "text".*id, score, tokens'):
        texts(path)
    pyarrow.parquet.write_table(pyarrow.table({"nothing": pyarrow.nulls(0)}), path)
    assert texts(path) == []


BAD_JSON_LINES = {
    b'{"text": "cut': "not JSON",
    b'{"other": "x"}': r'no field "text" \(it has: other\)',
    b'{"text": null}': 'field "text" is empty',
    b'{"text": 3}': 'field "text" is a int',
    b'["text"]': "not a JSON object",
    b'{"text": "\xff\xfe"}': "byte 11 is not UTF-8",
    rb'{"text": "\ud800"}': "lone surrogate",
    b'{"text": "' + b"x" * LONGEST_RECORD_BYTES + b'"}': "longer than 16 MiB",
}


@pytest.mark.parametrize("bad", BAD_JSON_LINES, ids=list(BAD_JSON_LINES.values()))
def test_a_bad_line_is_skipped_up_to_the_fraction_and_named_beyond_it(tmp_path, bad):
    path = tmp_path / "c.jsonl"
    good = json_lines(ROWS)
    path.write_bytes(good + bad + b"\n" + good)
    assert len(texts(path, max_bad_fraction=0.2)) == 4
    with pytest.raises(UserError, match=rf"c\.jsonl, line 3: .*{BAD_JSON_LINES[bad]}.* 1 of 5"):
        texts(path, max_bad_fraction=0.1)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("c.csv", b"id,text\n1,good\n2,b\xffd\n3,good\n4,good\n", 3),
        ("c.csv", b"id,text\n1,good\n2\n3,good\n4,good\n", 3),
        ("c.tsv", b"id\ttext\n1\tgood\n2\tgood\textra\n3\tgood\n4\tgood\n", 3),
        ("c.txt", b"good\ngood\nb\xffd\ngood\n", 3),
    ],
)
def test_bad_rows_and_lines_are_named_too(tmp_path, name, content, line):
    path = tmp_path / name
    path.write_bytes(content)
    assert "bad" not in " ".join(texts(path, max_bad_fraction=0.25))
    with pytest.raises(UserError, match=rf"{name}, line {line}: .*1 of 4"):
        texts(path, max_bad_fraction=0.24)


def test_a_parquet_column_that_is_not_utf8_loses_only_its_bad_rows(tmp_path):
    raw = pyarrow.array([b"good", b"b\xffd", b"good"], pyarrow.binary())
    text = pyarrow.Array.from_buffers(pyarrow.string(), 3, raw.buffers())
    pyarrow.parquet.write_table(pyarrow.table({"text": text}), tmp_path / "c.parquet")
    assert texts(tmp_path / "c.parquet", max_bad_fraction=0.5) == ["good", "good"]
    with pytest.raises(UserError, match=r"c\.parquet, line 2: .*not UTF-8"):
        texts(tmp_path / "c.parquet")


def test_a_bad_beginning_is_forgiven_and_a_long_bad_stretch_is_not_read_to_the_end(tmp_path):
    path = tmp_path / "c.jsonl"
    good = json_lines([{"text": "x"}])
    path.write_bytes(b"bad\n" * 5 + good * 995)
    assert len(texts(path)) == 995
    path.write_bytes(good * 990 + b"bad\n" * 100_000)
    with pytest.raises(UserError, match=r"line 991: .* 11 of 1001 "):
        texts(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.jsonl.gz", gzip.compress(json_lines(ROWS) * 500, mtime=0)[:-20]),
        ("c.jsonl.xz", lzma.compress(json_lines(ROWS) * 500)[:-20]),
        ("c.jsonl.zst", b"(\xb5/\xfd" + b"\xff" * 100),
        ("c.jsonl.zst", zstandard.compress(json_lines(ROWS) * 500)[:-1]),
        ("c.jsonl.zst", zstandard.compress(json_lines(ROWS)) + zstandard.compress(b"x" * 99)[:9]),
        ("c.parquet.gz", gzip.compress(parquet_bytes(ROWS), mtime=0)[:-20]),
        ("c.jsonl.bz2", bz2.compress(json_lines(ROWS) * 500)[:-20]),
        ("c.jsonl.gz", json_lines(ROWS)),
        ("c.parquet", parquet_bytes(ROWS)[:-10]),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: (damaged or cut short|cannot be read as)"):
        texts(path)


def test_a_long_zstandard_file_is_read_whole(tmp_path):
    content = json_lines([{"text": f"text {number} " * 40} for number in range(20_000)])
    (tmp_path / "c.jsonl.zst").write_bytes(zstandard.compress(content))
    (tmp_path / "c.jsonl").write_bytes(content)
    assert texts(tmp_path / "c.jsonl.zst") == texts(tmp_path / "c.jsonl")


def test_a_quote_that_is_never_closed_is_told(tmp_path):
    path = tmp_path / "c.csv"
    path.write_bytes(b'text,id\ngood,1\n"open,2\n' + b"good,3\n" * 50)
    for fraction in (0.01, 1.0):  # no single record is lost, but who knows how many
        with pytest.raises(UserError, match=r"c\.csv, line 3: a quotation mark is opened and nev"):
            texts(path, max_bad_fraction=fraction)


def test_a_quote_that_is_never_closed_is_told_in_a_long_file_too(tmp_path):
    path = tmp_path / "c.csv"
    path.write_bytes(b'text,id\ngood,1\n"open,2\n' + b"good,3\n" * (LONGEST_RECORD_BYTES // 6))
    with pytest.raises(UserError, match=r"c\.csv, line 3: a quotation mark is opened and nev"):
        texts(path, max_bad_fraction=1.0)


@pytest.mark.parametrize("closing", ['closed" here', 'closed",2'])
def test_a_stray_quote_counts_for_every_line_that_it_swallows(tmp_path, closing):
    path = tmp_path / "c.csv"
    lines = [f"{number},some text" for number in range(100)]
    lines[2], lines[12] = '2,"some text', f"12,{closing}"
    path.write_text("\n".join(["id,text", *lines]))
    assert len(texts(path, max_bad_fraction=0.11)) == 89
    with pytest.raises(
        UserError, match=r"c\.csv, line 4: .*; one row of lines 4 to 14, .* and with it 11 of 100 "
    ):
        texts(path, max_bad_fraction=0.1)


def test_a_column_is_found_though_a_stray_quote_swallows_the_first_rows(tmp_path):
    path = tmp_path / "c.csv"
    swallowed = ['0,"some text', *["1,some text"] * 30, '2,some" text']
    path.write_text("\n".join(["id,document", *swallowed, *["3,some text"] * 60]))
    assert texts(path, max_bad_fraction=0.5) == ["some text"] * 60


@pytest.mark.parametrize(
    ("name", "content", "bad_lines"),
    [
        ("c.csv", "text,id\ngood,1\n{},2\ngood,3\n", 1),
        ("c.tsv", "text\tid\ngood\t1\n{}\t2\ngood\t3\n", 1),
        ("c.csv", 'text,id\ngood,1\n"some\n{}\nmore",2\ngood,3\n', 3),
        ("c.csv", 'text,id\ngood,1\n"{}\nmore",2\ngood,3\n', 2),
        ("c.csv", 'text,id\ngood,1\n"some\n{}",2\ngood,3\n', 2),
        ("c.csv", 'text,id\r\ngood,1\r\n"{0}",{0}\r\ngood,3\r\n', 1),
    ],
)
def test_a_row_with_a_line_that_is_too_long_is_a_bad_one(tmp_path, name, content, bad_lines):
    path = tmp_path / name
    # As long as can be and too long; and of columns that are not.
    for long in ("x" * LONGEST_RECORD_BYTES, "x" * (LONGEST_RECORD_BYTES - 100)):
        path.write_text(content.format(long + "y" * 200), newline="")
        assert texts(path, max_bad_fraction=0.8) == ["good", "good"]
        with pytest.raises(UserError, match=rf"line 3: longer than 16 MiB.* {bad_lines} of "):
            texts(path)


@pytest.mark.parametrize("name", ["c.csv", "c.tsv", "c.jsonl.zst"])
def test_memory_is_bounded_whatever_a_file_holds(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".zst"):
        path.write_bytes(zstandard.compress(b'{"text": "good"}\n' + bytes(1 << 27)))
    else:
        with path.open("wb") as file:
            file.write(b"text\ngood\n")
            file.truncate(1 << 27)  # zeros, which are a line
    tracemalloc.start()
    try:
        assert texts(path, max_bad_fraction=0.5) == ["good"]
        assert tracemalloc.get_traced_memory()[1] < 120 << 20
    finally:
        tracemalloc.stop()


def test_two_columns_of_one_name_are_refused(tmp_path):
    columns = pyarrow.table([["a"], ["b"]], names=["text", "text"])
    pyarrow.parquet.write_table(columns, tmp_path / "c.parquet")
    (tmp_path / "c.csv").write_bytes(b"id,text,text,,\n1,a,b,,\n")
    (tmp_path / "c.tsv").write_bytes(b"text\tid\ttext\na\t1\tb\n")
    for name in ("c.parquet", "c.csv", "c.tsv"):
        with pytest.raises(UserError, match=rf'{name}.*: two columns are called "text"'):
            texts(tmp_path / name)


def test_strings_of_any_kind_are_text(tmp_path):
    column = pyarrow.array(["some text here", "more text there"], pyarrow.string_view())
    pyarrow.parquet.write_table(pyarrow.table({"body": column}), tmp_path / "c.parquet")
    assert texts(tmp_path / "c.parquet") == ["some text here", "more text there"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_told_with_its_fix(tmp_path, encoding):
    (tmp_path / "c.txt").write_bytes("\ufeffsome text\n\nmore".encode(encoding))
    with pytest.raises(UserError, match=r"c\.txt: not UTF-8; .*UTF-16.*: add --encoding utf-16"):
        texts(tmp_path / "c.txt")


def test_wrong_sources_are_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "image.png").write_bytes(b"")
    for source, message in {
        str(tmp_path / "missing.txt"): "no such file or folder",
        str(tmp_path / "*.txt"): "holds no file",
        str(tmp_path / "empty"): r"holds no file whose name ends in \.txt",
        str(tmp_path / "image.png"): "its name must end in",
        "nonsense://x": "cannot be opened",
        "docs://elsewhere": "docs://installed",
        "s3://bucket/key.txt": "needs s3fs|cannot be opened|no such file",
    }.items():
        with pytest.raises(UserError, match=message) as caught:
            texts(source)
        assert source in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="no corpus given"):
        texts()


@pytest.mark.parametrize("name", ["c.csv", "c.tsv"])
def test_a_header_without_an_end_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b'"' + b"x" * (LONGEST_RECORD_BYTES + 1))
    with pytest.raises(UserError, match=rf"{name}, line 1: no header that names the columns"):
        texts(path)


def test_the_inputs_hash_changes_with_what_is_read(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(json_lines(ROWS))
    before = inputs_sha256(find_inputs([str(path)]))
    assert inputs_sha256(find_inputs([str(tmp_path)])) == before
    path.write_bytes(json_lines(ROWS[::-1]))
    after = inputs_sha256(find_inputs([str(path)]))
    (tmp_path / "d.jsonl").write_bytes(json_lines(ROWS))
    assert len({before, after, inputs_sha256(find_inputs([str(tmp_path)]))}) == 3
