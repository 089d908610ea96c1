"""Tables of labelled examples, in every form they are read in."""

import bz2
import csv
import gzip
import io
import json
import lzma
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from selfsup.errors import UserError
from selfsup.tasks.tables import column_names, read_rows

ROWS = [{"label": "1", "text": "좋은 영화"}, {"label": "0", "text": 'a "lame, film'}]

COMPRESSORS = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def write_table(path: Path, rows: list[dict]) -> Path:
    name = path.name
    if ".jsonl" in name:
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    elif ".tsv" in name:
        lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
        data = "\n".join(lines).encode()
    else:
        file = io.StringIO()
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        data = file.getvalue().encode()
    compress = next(c for suffix, c in reversed(COMPRESSORS.items()) if name.endswith(suffix))
    path.write_bytes(compress(data))
    return path


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl"])
def test_a_table_is_read_the_same_in_every_form(tmp_path, kind: str, compression: str):
    rows = read_rows(str(write_table(tmp_path / f"table{kind}{compression}", ROWS)))
    assert [row.fields for row in rows] == ROWS


@pytest.mark.parametrize("name", ["table.tsv.gz", "table.csv.zst"])
def test_a_folder_with_one_table_is_that_table(tmp_path, name: str):
    write_table(tmp_path / name, ROWS)
    assert [row.fields for row in read_rows(str(tmp_path))] == ROWS


def test_a_parquet_table_keeps_the_kinds_of_its_values(tmp_path):
    path = tmp_path / "table.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"label": [1, 0], "text": ["a", "b"]}), path)
    assert [row.fields for row in read_rows(str(path))] == [
        {"label": 1, "text": "a"},
        {"label": 0, "text": "b"},
    ]


def test_quotes_in_tab_separated_fields_are_ordinary_characters(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text('text\tlabel\n"half a quote\t1\nsay "TIME" \'s up"\t0\n')
    fields = [row.fields["text"] for row in read_rows(str(path))]
    assert fields == ['"half a quote', 'say "TIME" \'s up"']


@pytest.mark.parametrize(
    "row",
    [r'{"text": "cut \ud83d"}', r'{"words": ["a", "\ud83d"]}', r'{"tags": [{"x": "\ud83d"}]}'],
)
def test_half_a_character_is_refused_by_line(tmp_path, row: str):
    path = tmp_path / "table.jsonl"
    path.write_text(f'{{"text": "\\ud83d\\ude00"}}\n{row}\n')
    with pytest.raises(UserError, match=r"line 2: .* holds half a character") as raised:
        read_rows(str(path))
    assert str(raised.value).isprintable()


def test_a_row_knows_its_line_also_after_fields_of_several_lines(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('text,label\n"one\ntwo",1\nthree,0\n')
    assert [row.line for row in read_rows(str(path))] == [2, 4]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "text": st.text(
                    st.characters(
                        exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"
                    )
                ),
                "label": st.sampled_from("01"),
            }
        ),
        min_size=1,
    )
)
def test_any_text_comes_back_from_csv_and_json_lines_as_it_was(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("tables")
    json_file = write_table(folder / "table.jsonl", rows)
    csv_file = write_table(folder / "table.csv", rows)
    assert [row.fields for row in read_rows(str(json_file))] == rows
    assert [row.fields for row in read_rows(str(csv_file))] == rows


def test_columns_are_named_in_the_order_in_which_they_appear(tmp_path):
    path = tmp_path / "table.jsonl"
    path.write_text('{"b": 1, "a": 2}\n{"a": 3, "c": 4}\n')
    assert column_names(read_rows(str(path))) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("table.tsv", b"label\ttext\n1\tfine\n0\n", "table.tsv, line 3: 1 columns where"),
        ("table.csv", b"label,text\n1,fine,more\n", "table.csv, line 2: 3 columns where"),
        ("table.tsv", b"label\ttext\n1\t\xff\xfe\n", "table.tsv, line 2: not UTF-8"),
        ("table.tsv", b"label\tt\xffxt\n1\ta\n", "table.tsv, line 1: not UTF-8"),
        (
            "table.csv",
            "label,text\n1,a\n".encode("utf-16"),
            "table.csv: not UTF-8; .*add --encoding utf-16",
        ),
        ("table.jsonl", b'{"text": "a"}\n{"text": \n', "table.jsonl, line 2: not JSON"),
        ("table.jsonl", b"[1]\n", "table.jsonl, line 1: not a JSON object"),
        ("table.tsv", b"label\ttext\n", "table.tsv: holds no rows"),
        ("table.csv", b"", "table.csv: holds no rows"),
        ("table.parquet", b"PAR", "table.parquet: cannot be read as Parquet"),
        (
            "table.tsv.gz",
            gzip.compress(b"label\ttext\n1\ta\n" * 999, mtime=0)[:-20],
            "damaged or cut short",
        ),
        ("table.txt", b"some text", "not a table that can be read"),
    ],
)
def test_a_damaged_table_is_refused_in_a_line_that_says_where(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said) as refused:
        read_rows(str(tmp_path / name))
    assert "\n" not in str(refused.value)


def test_a_data_set_of_the_hub_is_read_with_the_names_of_its_classes(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    table = {"text": ["a", "b", "c"], "label": [1, 0, -1]}
    datasets.Dataset.from_dict(table, features).to_parquet(tmp_path / "data.parquet")
    assert [tuple(row.fields.values()) for row in read_rows(f"hf://{tmp_path}")] == [
        ("a", "good"),
        ("b", "bad"),
        ("c", "-"),
    ]


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"nowhere\.tsv"):
        read_rows("nowhere.tsv")
