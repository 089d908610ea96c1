"""Valid examples of every kind of file that the targets damage."""

import io
import json

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl.worksheet.worksheet import Worksheet

from tests.fuzz.mutations import json_lines


def parquet(table: pa.Table, **options) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def sheet(rows: list[list]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    lines = book.active
    assert isinstance(lines, Worksheet)
    for row in rows:
        lines.append(row)
    book.save(out)
    return out.getvalue()


# Text to pre-train on.
SENTENCES = [
    "Paris is the capital.",
    "한국어 문장이 있다.",
    'A "quoted" one, with a comma.',
    "Is it?",
]
ROWS = [{"id": number, "text": text} for number, text in enumerate(SENTENCES)]
PLAIN = ["\n".join(SENTENCES).encode(), "\n\n".join(SENTENCES).encode("cp949"), b""]
JSON_ROWS = [
    json.dumps(ROWS).encode(),
    json.dumps(
        [{"body": {"text": text}, "n": 1.5, "tags": [1, None]} for text in SENTENCES]
    ).encode(),
]
JSON_LINES = [json_lines(json.loads(rows)).encode() for rows in JSON_ROWS]
CSV = [
    b'id,text\n1,"Paris, the\ncapital"\n2,is\n3,""\n',
    "id;text\n1;한국어 문장\n2;Paris is the capital\n".encode("cp949"),
    b"Paris is the capital\nis the capital\n",
]
TSV = [b'text\tn\nParis "is\t1\nthe capital\t2\n', "1\t가 나 다\n0\t라 마\n".encode()]
READERS = {".txt": PLAIN, ".jsonl": JSON_LINES, ".csv": CSV, ".tsv": TSV}
PARQUET = [
    parquet(pa.table({"id": [1, 2, 3, 4], "text": SENTENCES})),
    parquet(pa.table({"body": pa.array(SENTENCES).dictionary_encode(), "n": [[1], [], None, [2]]}),
            compression="zstd"),
    parquet(pa.table({"text": pa.array([], pa.string())})),
]  # fmt: skip
SHEETS = [
    sheet([["text", "n"], ["Paris is the capital", 1.0], [None, True], ["=1+1", "x"]]),
    sheet([["Paris is"], ["the capital"]]),
]

# Labelled tables.
CLASSES = [
    b"label\tsentence\nup\ta fine film\ndown\ta dull plot\nup\tvery warm\n",
    b"sentence\tlabel\na fine film\t1\na dull plot\t0\nvery warm\t1\n",
    b"up\ta fine film\ndown\ta dull plot\n",
    "id\tdocument\tlabel\n9\t좋은 영화 였다\t1\n8\t나쁜 영화 였다\t0\n".encode("cp949"),
    b"text\tlabel\na b\tNaN\nc d\tNULL\ne f\t1\n",
]
NUMBERS = [
    b'text,score\na fine film,1.5\n"a dull, plot",-2\nwarm one,1e3\n',
    b"text;score\na fine film;1,5\na dull plot;2,25\n",
    b"text,label\na b,1\nc d,2.5\ne f,3\n",
]
SEVERAL = [
    b'text,labels\na fine film,"good,short"\na dull plot,\nvery warm,good\n',
    b"text,good,bad\na fine film,1,0\na dull plot,0,1\n",
    b"text,labels\na b,\"['x', 'y']\"\nc d,\"['x']\"\n",
]
PAIRS = [
    b"premise\thypothesis\tlabel\na fine film\tit is fine\tentailment\na plot\tno plot\tcontra\n",
    b"sentence1\tsentence2\tscore\na b\tc d\t4.5\ne f\tg h\t1.0\n",
]
TABLES = [*CLASSES, *NUMBERS, *SEVERAL, *PAIRS]
LABELLED_ROWS = [
    json.dumps([{"text": "a fine film", "label": label}, {"text": "a dull plot", "label": other}])
    for label, other in (("up", "down"), (1, 0), (1.5, -2), (["a", "b"], []), (True, False),
                         ({"x": 1}, {"x": 0}))
]  # fmt: skip
LABELLED_JSON_ROWS = [rows.encode() for rows in LABELLED_ROWS]
LABELLED_PARQUET = [
    parquet(pa.table({"text": ["a b", "c d"], "label": [1, 0]})),
    parquet(pa.table({"text": ["a b", "c d"], "labels": [["x", "y"], []]})),
]
LABELLED_SHEETS = [sheet([["text", "label"], ["a fine film", 1], ["a dull plot", 0.5]])]

# Questions: in SQuAD's form, and rows of questions.
_CONTEXT = "The plot is thin, 그 영화는 좋다."
_ANSWERS = [{"text": "thin", "answer_start": 12}]
_QUESTIONS = [
    {"id": "q1", "question": "How is it?", "answers": _ANSWERS},
    {"id": "q2", "question": "Who?", "answers": [], "is_impossible": True},
]
SQUAD = [
    json.dumps({"version": version, "data": [{"paragraphs": [paragraph]}]}).encode()
    for version, paragraph in (
        ("v2.0", {"context": _CONTEXT, "qas": _QUESTIONS}),
        ("1.1", {"context": _CONTEXT, "qas": _QUESTIONS[:1]}),
    )
]
_QUESTION = {"context": _CONTEXT, "question": "How is it?"}
QUESTION_ROWS = [
    json.dumps(
        [{"id": "a", **_QUESTION, "answers": {"text": ["thin"], "answer_start": [12]}}]
    ).encode(),
    json.dumps([{**_QUESTION, "answers": _ANSWERS}, {**_QUESTION, "answers": []}]).encode(),
]
ANSWERS = [json.dumps({"q1": "thin", "q2": ""}).encode(), b'{"q1": "the plot", "other": "x"}']

# Tagged words: columns, rows of words, and rows as annotation tools write them.
COLUMNS = [
    b"Anna B-PER\nwent O\nto O\nRome B-LOC\n\nNothing O\nhere O\n",
    b"-DOCSTART- -X- O O\n\nEU NNP I-NP B-ORG\nrejects VBZ I-VP O\n\n",
    (
        "## klue-ner-v1_dev_00000\t<안나:PS>가 갔다\n"
        "안\tB-PS\n나\tI-PS\n가\tO\n \tO\n갔\tO\n다\tO\n"
    ).encode(),
    b"# sent_id = 1\n1\tAnna\tAnna\tPROPN\t_\t_\t0\t_\t_\t_\n1-2\tx\t_\t_\t_\t_\t_\t_\t_\t_\n\n",
    b"1\tAnna\tB-PER\n2\twent\tO\n\n1\tRome\tS-LOC\n",
]
_TEXT = "Anna went to Rome"
_SPANS = [{"start": 0, "end": 4, "label": "PER"}, {"start": 13, "end": 17, "label": "LOC"}]
_VALUES = [{"start": 0, "end": 4, "text": "Anna", "labels": ["PER"]}]
TAGGED_ROWS = [
    json.dumps(rows).encode()
    for rows in (
        [{"tokens": _TEXT.split(), "ner_tags": ["B-PER", "O", "O", "B-LOC"]}],
        [{"text": _TEXT, "entities": _SPANS}, {"text": "Nothing here", "entities": []}],
        [{"text": _TEXT, "tokens": [{"text": "Anna", "start": 0, "end": 4, "id": 0}],
          "spans": [{**_SPANS[0], "token_start": 0, "token_end": 0}], "answer": "accept"}],
        [{"id": 1, "data": {"text": _TEXT}, "predictions": [],
          "annotations": [{"result": [{"type": "labels", "value": each} for each in _VALUES]}]}],
        [{"text": _TEXT, "label": _VALUES, "id": 3}],
        [{"id": 1, "text": _TEXT, "label": [[0, 4, "PER"], [13, 17, "LOC"]]}],
    )
]  # fmt: skip
