"""Examples from standard input, and predictions on standard output, as other programs pipe them."""

import csv
import io
import json
import os
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from selfsup import cli
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.layers import initialize
from selfsup.tasks.encoders import Limits
from selfsup.tasks.image_classification.encoding import ImagePreparation
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import TASKS, save_task_model
from tests.tokenizer_folder import text_preparation
from tests.toy_tasks import (
    CONFIG,
    VIT_CONFIG,
    toy_tokenizer,
    write_toy_conll,
    write_toy_file,
    write_toy_questions,
)

LABELS = {
    "sequence-classification": Labels("class", ("down", "up")),
    "pair-classification": Labels("multi", ("bad", "좋음, 아주")),
    "question-answering": Labels("none"),
    "token-classification": Labels("tag", ("O", "B-GOOD", "I-GOOD")),
    "image-classification": Labels("class", ("across", "down")),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    """A model folder for each task, with random weights."""
    folders = {}
    for name, labels in LABELS.items():
        task, folder = TASKS[name], tmp_path_factory.mktemp(name)
        if name == "image-classification":
            config, preparation = VIT_CONFIG, ImagePreparation(16, 4)
        else:
            save_tokenizer(toy_tokenizer(), folder)
            config = CONFIG
            preparation = text_preparation(folder, Limits(32, 0))
        encoder = task.family.build_encoder(config, pooled=task.pooled)
        model = task.build_model(encoder, labels, 0.1)
        initialize(model, 0.3, seed=3)
        save_task_model(folder, task, model, labels, preparation, "# Card\n")
        folders[name] = str(folder)
    return folders


@pytest.fixture
def piped(monkeypatch, capfdbinary):
    """Run a command with these bytes on standard input; its status, its output and its messages."""

    def run(content: bytes, *arguments: str) -> tuple[int, bytes, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        status = cli.main([*arguments, "--device", "cpu"])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return status, out, err.decode()

    return run


def records(out: bytes) -> list[dict]:
    return [json.loads(line) for line in out.decode().split("\n")[:-1]]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
def test_each_line_is_a_text_and_has_the_prediction_that_it_has_in_a_file(
    models, piped, tmp_path, ending: bytes
):
    texts = ["A fine film, 'very' \"witty\"", "", "  좋은 영화", "dull", "\u2028lame", ""]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    model, out = models["sequence-classification"], tmp_path / "answers.jsonl"
    assert piped(b"", "predict", model, "--data", str(tmp_path / "texts.jsonl"),
                 "--out", str(out))[0] == 0  # fmt: skip
    content = (ending or b"\n").join(text.encode() for text in texts) + (ending or b"\n")
    status, printed, said = piped(content, "predict", model, "-")
    assert (status, [record["text"] for record in records(printed)]) == (0, texts)
    assert printed == out.read_bytes()
    assert "Examples" in said


def test_a_last_line_may_lack_its_end_and_a_byte_order_mark_is_no_text(models, piped):
    _, printed, _ = piped(b"\xef\xbb\xbffine\ndull", "predict",
                          models["sequence-classification"], "-")  # fmt: skip
    assert [record["text"] for record in records(printed)] == ["fine", "dull"]


def test_pairs_and_questions_have_a_tab_between_their_texts(models, piped):
    lines = b"the film is\ta Fine film\na, plot\tdull\n"
    _, printed, _ = piped(lines, "predict", models["pair-classification"], "-")
    pairs = [(record["text"], record["text_pair"]) for record in records(printed)]
    assert pairs == [("the film is", "a Fine film"), ("a, plot", "dull")]
    _, printed, _ = piped(lines, "predict", models["question-answering"], "-")
    answers = records(printed)
    assert [(answer["id"], answer["question"]) for answer in answers] == [
        ("1", "the film is"), ("2", "a, plot"),
    ]  # fmt: skip
    assert answers[1]["answer"] in ("", "dull")


@pytest.mark.parametrize("task", ["pair-classification", "question-answering"])
@pytest.mark.parametrize(
    ("content", "line"), [(b"a\tb\n\nc\td\n", "line 2: 0 tabs"), (b"a\tb\tc\n", "line 1: 2 tabs")]
)
def test_a_line_that_is_no_pair_is_named(models, piped, task: str, content: bytes, line: str):
    status, printed, said = piped(content, "predict", models[task], "-")
    assert (status, printed) == (2, b"")
    assert f"standard input, {line}" in said


def test_the_context_of_one_question_may_be_piped(models, piped):
    model = models["question-answering"]
    for flags in (["-"], ["--context-file", "-"]):
        status, printed, _ = piped(
            b"a fine film\n\nthe plot\n", "predict", model, *flags, "--question", "the film is",
            "--json",
        )  # fmt: skip
        assert status == 0
        assert json.loads(printed)["answer"] in "a fine film\n\nthe plot"


def test_a_sentence_a_line_is_tagged_also_an_empty_one(models, piped):
    _, printed, _ = piped(
        b"a fine film\n\ndull ,\n", "predict", models["token-classification"], "-"
    )
    assert [record["words"] for record in records(printed)] == [
        ["a", "fine", "film"], [], ["dull", ","],
    ]  # fmt: skip


def test_paths_of_images_a_line(models, piped, tmp_path):
    model, names = models["image-classification"], []
    for number, name in enumerate(["좋은 사진.png", "b.png"]):
        names.append(str(tmp_path / name))
        Image.new("RGB", (20, 20), (90 * number, 0, 0)).save(names[-1])
    content = "".join(f"{name}\n" for name in names).encode()
    _, printed, _ = piped(content, "predict", model, "-")
    assert [record["image"] for record in records(printed)] == names
    Path(names[1]).write_bytes(b"no image")
    status, printed, said = piped(content, "predict", model, "-")
    assert (status, printed) == (2, b"")
    assert said.startswith(f"selfsup: error: {names[1]}: ")
    assert "standard input, line 2: is empty" in piped(b"b.png\n\n", "predict", model, "-")[2]


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", "standard input: is empty: give an example a line"),
        (b"fine\n\xb8\xc0\n", "standard input: not UTF-8; it reads as Korean in CP949"),
        (b'{"text": "a"}\n{"text": "b"}\n', "its lines are JSON objects, not texts"),
    ],
)
def test_what_is_hardly_a_text_a_line_is_refused(models, piped, content: bytes, refusal: str):
    status, printed, said = piped(content, "predict", models["sequence-classification"], "-")
    assert (status, printed) == (2, b"")
    assert refusal in said
    assert said.count("\n") == 1


def test_lines_that_may_be_rows_of_a_table_are_told(models, piped):
    _, _, said = piped(b"fine\tx\ndull\ty\n", "predict", models["sequence-classification"], "-")
    assert "each line is taken for one text, tabs included: give a table with --data -" in said


@pytest.mark.parametrize(
    ("content", "flags", "note"),
    [
        (b'{"text": "a, b"}\n{"text": ""}\n', [], ""),
        (b'text,n\n"a, b",1\n"",2\n', [], "read as csv (--data-format changes it)"),
        (b"n\ttext\n1\ta, b\n2\t\n", [], "read as tsv (--data-format changes it)"),
        (b'\n{"text": "a, b"}\n{"text": ""}\n', ["--data-format", "jsonl"], ""),
    ],
)
def test_a_table_may_come_from_standard_input(models, piped, content, flags, note):
    model = models["sequence-classification"]
    status, printed, said = piped(content, "predict", model, "--data", "-", *flags)
    assert (status, [record["text"] for record in records(printed)]) == (0, ["a, b", ""])
    assert note in said
    assert 'standard input: taking the text from column "text"' in said
    assert "/input." not in said


def test_a_bad_row_of_a_piped_table_is_named(models, piped):
    model = models["sequence-classification"]
    status, printed, said = piped(b"text,n\na,1,2\n", "predict", model, "--data", "-")
    assert (status, printed) == (2, b"")
    assert "selfsup: error: standard input, line 2: 3 columns" in said


def test_questions_and_tagged_words_may_be_piped_too(models, piped, tmp_path):
    wrapped = tmp_path / "wrapped.json"
    questions = write_toy_questions(tmp_path / "q.json", 4, 1)
    wrapped.write_text(json.dumps(json.loads(questions.read_text()), indent=1))
    for task, file, flags in (
        ("question-answering", questions, []),
        ("question-answering", wrapped, []),
        ("token-classification", write_toy_conll(tmp_path / "t.conll", 4, 1), ["conll"]),
    ):
        flags = ["--data-format", *flags] if flags else []
        status, printed, said = piped(
            file.read_bytes(), "predict", models[task], "--data", "-", *flags
        )
        assert status == 0, said
        assert len(records(printed)) == 4


def test_evaluate_may_write_its_predictions_to_standard_output(models, piped, tmp_path):
    data = write_toy_file(tmp_path / "dev.tsv", 4, 1)
    model = models["sequence-classification"]
    status, printed, said = piped(b"", "evaluate", model, "--data", str(data), "--predictions", "-")
    assert (status, len(records(printed))) == (0, 4)
    assert "Accuracy" in said


@pytest.mark.parametrize("task", LABELS)
def test_csv_holds_what_the_json_lines_hold(models, piped, tmp_path, task: str):
    texts = ['a "fine" film, 좋다', "two\nlines\r\nand\rmore;", "", "'dull\t, \\"]
    model = models[task]
    if task == "image-classification":
        for number in range(3):
            Image.new("RGB", (20, 20), (90 * number, 0, 0)).save(tmp_path / f"{number}, 가.png")
        data = tmp_path
    elif task == "question-answering":
        data = write_toy_questions(tmp_path / "q.json", 4, 1, unanswerable=True)
    else:
        data = tmp_path / "texts.jsonl"
        rows = [{"sentence1": text, "sentence2": text[::-1]} for text in texts]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--text-column", "sentence1"] if task == "token-classification" else []
    expected = records(piped(b"", "predict", model, "--data", str(data), *flags)[1])
    _, printed, _ = piped(b"", "predict", model, "--data", str(data), "--format", "csv", *flags)
    out = tmp_path / "out.csv"
    piped(b"", "predict", model, "--data", str(data), "--out", str(out), *flags)
    assert out.read_bytes() == printed
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert len(rows) == len(expected) > 0
    for row, record in zip(rows, expected, strict=True):
        for name, value in record.items():
            if isinstance(value, dict):
                assert {key: float(row[f"{name}.{key}"]) for key in value} == value
            elif isinstance(value, str | None):
                assert row[name] == (value or "")
            else:
                assert json.loads(row[name]) == value


def test_with_json_the_summary_goes_to_standard_error_as_json(models, piped):
    _, printed, said = piped(b"fine\n", "predict", models["sequence-classification"], "-", "--json")
    assert [record["text"] for record in records(printed)] == ["fine"]
    assert json.loads(said.splitlines()[-1])["examples"] == 1


def test_a_reader_that_goes_away_ends_the_command_quietly(models, piped, monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", nobody)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"fine\n" * 3000)))
        words = ["predict", models["sequence-classification"], "-", "--device", "cpu"]
        assert cli.main(words) == 141
    assert "error" not in piped(b"", "--help")[2]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_a_reader_of_a_named_pipe_that_goes_away_ends_the_command_quietly(models, piped, tmp_path):
    def read_a_little() -> None:
        with (tmp_path / "out").open("rb") as file:
            file.read(1)

    os.mkfifo(tmp_path / "out")
    threading.Thread(target=read_a_little, daemon=True).start()
    words = ("predict", models["sequence-classification"], "-", "--out", str(tmp_path / "out"))
    status, _, said = piped(b"fine\n" * 3000, *words)
    assert status == 141
    assert "error" not in said
