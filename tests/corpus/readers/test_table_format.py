"""How a text table is written: what is found, what is said of it, and what is refused."""

import csv
import io
import unicodedata

import pytest

from selfsup.corpus.readers.sources import read_documents
from selfsup.errors import UserError
from selfsup.settings.reading import FileFormat
from selfsup.tasks.tables import Columns, Row, read_records

ROWS = [["label", "text"], ["good", "The soup was warm."], ["bad", "We waited, and it was cold."]]


def read(tmp_path, content: str | bytes, name: str = "a.csv", **asked):
    """The fields of the rows, the lines where they begin, and what is said of the file."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    names = {"text": asked.pop("text", None)}
    columns = Columns(**names, file_format=FileFormat(**asked))
    said: list[str] = []
    records = list(read_records(str(path), columns, tell=said.append))
    rows = [record for record in records if isinstance(record, Row)]
    assert len(rows) == len(records), records
    return (
        [list(row.fields.values()) for row in rows],
        [row.line for row in rows],
        [note.removeprefix(f"{path}: ") for note in said],
    )


def written(rows, delimiter: str, **options) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n", **options).writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("delimiter", "said"),
    [
        (",", []),
        (";", ["columns are separated by ';' (--delimiter changes it)"]),
        ("\t", ["columns are separated by tabs (--delimiter changes it)"]),
        ("|", ["columns are separated by '|' (--delimiter changes it)"]),
    ],
)
def test_the_delimiter_is_found_and_said(tmp_path, quoting, ending, delimiter, said):
    text = written(ROWS, delimiter, quoting=quoting).replace("\n", ending)
    rows, _, notes = read(tmp_path, "\ufeff" + text)
    assert rows == ROWS[1:]
    assert notes == said
    assert read(tmp_path, text, delimiter=delimiter) == (rows, [2, 3], [])


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        # A decimal comma does not make the comma the delimiter, also without a header.
        ("text;score\na b;1,5\nc d;2,25\n", [["a b", "1,5"], ["c d", "2,25"]]),
        # Nor do fields in quotes that hold it, or several lines.
        ('label;text\n1;"one, two\nthree; four"\n0;"a ""b"", c"\n',
         [["1", "one, two\nthree; four"], ["0", 'a "b", c']]),
        # Commas in some of the texts.
        ("label;text\n1;one, two\n0;three\n1;four, five, six\n",
         [["1", "one, two"], ["0", "three"], ["1", "four, five, six"]]),
        # Semicolons and bars in the texts of a file with commas.
        ("label,text\n1,one; two\n0,three|four\n", [["1", "one; two"], ["0", "three|four"]]),
        ("sep=;\nlabel;text\n1;a\n", [["1", "a"]]),
        ('"sep=,"\r\nlabel,text\r\n1,a;b\r\n', [["1", "a;b"]]),
        ("label,text,,\n1,a,,\n", [["1", "a", ""]]),
        (",label,text\n0,1,a\n", [["0", "1", "a"]]),
        # One column of texts with commas in them.
        ('text\n"one, two"\nthree\n', [["one, two"], ["three"]]),
    ],
)  # fmt: skip
def test_other_characters_in_the_rows_are_no_delimiter(tmp_path, content, rows):
    assert read(tmp_path, content)[0] == rows


def test_numbers_with_a_comma_in_a_table_without_a_header(tmp_path):
    rows, _, _ = read(tmp_path, "good;1,5\nbad;2,5\n", header=False)
    assert rows == [["good", "1,5"], ["bad", "2,5"]]


def test_two_possible_delimiters_are_refused(tmp_path):
    content = "label;a|text\n1;b|c\n0;d|e\n"
    with pytest.raises(UserError, match=r"separated by ';' or '\|': say which by --delimiter"):
        read(tmp_path, content)
    assert read(tmp_path, content, delimiter=";")[0] == [["1", "b|c"], ["0", "d|e"]]


def test_in_tsv_quotes_are_ordinary_and_commas_are_text(tmp_path):
    content = 'label\ttext\n1\t"lone, and\n0\tb, c\n'
    assert read(tmp_path, content, "a.tsv")[0] == [["1", '"lone, and'], ["0", "b, c"]]
    rows, _, notes = read(tmp_path, "label,text\n1,a b\n0,c d\n", "a.tsv")
    assert rows == [["1", "a b"], ["0", "c d"]]
    assert notes == ["columns are separated by ',' (--delimiter changes it)"]
    assert read(tmp_path, "sentence\nwell, well\nno\n", "a.tsv")[0] == [["well, well"], ["no"]]


NO_HEADER = {
    "a label recurs": "good,Fine soup\nbad,Cold\ngood,Warm\n",
    "running text": "1st,The soup was warm today\n2nd,Cold\n",
    "a sentence": "a,Very good.\nb,Bad.\n",
    "numbers": "1,fine\n0,bad\n",
    "a sentence in Korean": "긍정,국물이 따뜻했다.\n부정,짜다.\n",
    "a title above": "Report of 2024,\nverdict,remark\ngood,fine\n",
    "one column": "The soup was warm.\nWe waited an hour.\n",
}


@pytest.mark.parametrize("content", NO_HEADER.values(), ids=NO_HEADER)
def test_an_example_in_line_1_is_refused_and_read_where_the_user_says_so(tmp_path, content):
    with pytest.raises(UserError, match=r"line 1 looks like an example, .*: add --no-header, or"):
        read(tmp_path, content)
    rows, lines, said = read(tmp_path, content, header=False)
    assert rows == [line.split(",") for line in content.splitlines()]
    assert lines == list(range(1, len(rows) + 1))
    assert said == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("label,text\na,b c\n", 0),
        ("How did you like the food today?,Rating\nmuch,5\n", 0),  # of a questionnaire
        ("라벨,리뷰\n긍정,좋다\n", 0),
        ("verdict,remark\ngood,fine\nbad,cold\n", 1),
        ("text,title\ntext,a\ntitle,b\n", 0),
    ],
)
def test_a_header_is_recognised_and_said_where_it_is_not_usual(tmp_path, content, said):
    rows, lines, notes = read(tmp_path, content)
    assert len(rows) == content.count("\n") - 1
    assert lines[0] == 2
    assert len(notes) == said
    assert all("line 1 is taken for the column names" in note for note in notes)


def test_a_header_of_running_text_is_one_where_the_user_names_a_column(tmp_path):
    content = "What is it that you liked?,verdict\nsoup,good\n"
    assert read(tmp_path, content, text="What is it that you liked?")[0] == [["soup", "good"]]
    names = ("What is it that you liked?", "verdict")
    assert read(tmp_path, content, columns=names)[0] == [["soup", "good"]]


def test_columns_get_the_names_that_the_user_gives(tmp_path):
    (tmp_path / "a.csv").write_text("good,Fine soup\nbad,Cold\n")
    file = str(tmp_path / "a.csv")
    columns = Columns(file_format=FileFormat(columns=("label", "text")))
    first = next(iter(read_records(file, columns)))
    assert first == Row(1, {"label": "good", "text": "Fine soup"})
    numbered = next(iter(read_records(file, Columns(file_format=FileFormat(header=False)))))
    assert numbered == Row(1, {"1": "good", "2": "Fine soup"})
    with pytest.raises(UserError, match="--columns has 3 names, and the first row 2 columns"):
        read(tmp_path, "good,Fine soup\n", columns=("a", "b", "c"))
    _, _, said = read(tmp_path, "label,text\na,b\n", columns=("x", "y"))
    assert said == ['line 1 is read as an example, as --columns says: "label", "text"']


def test_empty_rows_and_repeated_headers_are_left_out_and_counted(tmp_path):
    content = 'label,text\n,\n1,"a\nb"\n , \n,,,\n\nlabel,text\n0,c\n,\n'
    rows, lines, said = read(tmp_path, content)
    assert rows == [["1", "a\nb"], ["0", "c"]]
    assert lines == [3, 9]
    assert said == [
        "rows in which nothing stands left out: 4 (the first is line 2)",
        "rows that repeat the column names left out: 1 (the first is line 8)",
    ]


def test_names_are_compared_composed(tmp_path):
    content = unicodedata.normalize("NFD", "라벨,문장") + "\n1,가\n"
    (tmp_path / "a.csv").write_text(content)
    documents = read_documents([str(tmp_path / "a.csv")], text_field="문장")
    assert [document.text for document in documents] == ["가"]
    assert list(read_records(str(tmp_path / "a.csv"))) == [Row(2, {"라벨": "1", "문장": "가"})]


def test_what_is_said_of_a_table_is_refused_for_other_files(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "a.txt").write_text("a\n")
    with pytest.raises(UserError, match=r"--delimiter is for \.csv, \.tsv and \.xlsx files"):
        read(tmp_path, '{"text": "a"}\n', "a.jsonl", delimiter=";")
    with pytest.raises(UserError, match="--no-header is for"):
        list(read_documents([str(tmp_path / "a.txt")], file_format=FileFormat(header=False)))


def test_a_large_table_is_sampled_and_read_to_its_end(tmp_path):
    count = 20_000
    content = "label;text\n" + "".join(f'{i % 2};"number {i}, and so on"\n' for i in range(count))
    rows, lines, _ = read(tmp_path, content)
    assert len(rows) == count
    assert rows[-1] == ["1", f"number {count - 1}, and so on"]
    assert lines[-1] == count + 1
