"""Which objectives a text's documents allow, and what of a single document is held out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selfsup import cli
from selfsup.doctor import doctor
from selfsup.errors import UserError
from selfsup.pretraining.text import data as text_data
from selfsup.pretraining.text.documents import hold_out_end, why_few_pairs
from selfsup.pretraining.text.sequences import split_held_out
from selfsup.runs.reading import read_run
from selfsup.settings.showing import DoctorSettings
from tests.pretraining.text.corpus_of import corpus_of
from tests.toy_corpus import toy_documents

QUICK = (
    "--encoder", "bert-tiny", "--steps", "2", "--batch-size", "4",
    "--max-length", "32", "--device", "cpu", "--precision", "float32", "--threads", "1",
    "--workers", "1",
)  # fmt: skip

Pretrain = Callable[..., tuple[Path, str]]


@pytest.fixture
def pretrain(tmp_path, capsys) -> Pretrain:
    """Pre-train on a file, and return the run and what was printed on the way."""

    def run(file: Path, *flags: str) -> tuple[Path, str]:
        out = tmp_path / "run"
        assert cli.main(["pretrain", str(file), "--out", str(out), *QUICK, *flags]) == 0
        return out, capsys.readouterr().err

    return run


def write_records(file: Path, texts: list[str]) -> Path:
    file.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    return file


def single_sentences(count: int) -> list[str]:
    return [text.split(".")[0] + "." for text in toy_documents(count)]


def objectives_of(run: Path) -> list[str]:
    return read_run(run).settings["objectives"]


def summary_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_bytes())


@pytest.mark.parametrize("longer", [0, 1])
def test_next_sentences_are_left_out_where_documents_have_none(longer, pretrain, tmp_path):
    texts = single_sentences(30)[longer:] + toy_documents(longer, seed=9)
    run, printed = pretrain(write_records(tmp_path / "texts.jsonl", texts))
    told = f"left out: {30 - longer} of 30 documents are a single sentence, after which nothing"
    assert told in printed
    assert "each record is one document" in printed
    assert objectives_of(run) == ["mlm"]
    assert summary_of(run)["nsp_accuracy"] is None


def test_they_are_left_out_of_a_run_that_was_stopped_before(tmp_path, monkeypatch):
    texts = write_records(tmp_path / "texts.jsonl", single_sentences(30))
    with monkeypatch.context() as patch:
        patch.setattr(text_data, "prepare", interrupted)
        assert cli.main(["pretrain", str(texts), "--out", str(tmp_path / "run"), *QUICK]) == 130
    assert objectives_of(tmp_path / "run") == ["mlm", "nsp"]
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    assert objectives_of(tmp_path / "run") == ["mlm"]


def interrupted(*arguments: Any, **named: Any) -> None:
    raise KeyboardInterrupt


def test_a_book_with_a_line_a_paragraph_is_told_what_divides_it(pretrain, tmp_path):
    (tmp_path / "book.txt").write_text("\n".join(toy_documents(12)))
    run, printed = pretrain(tmp_path / "book.txt")
    assert "next-sentence prediction needs 4" in printed
    assert "blank lines divide a .txt file into documents; --text-documents line" in printed
    assert "The end of the only document, " in printed
    assert "more text" not in printed
    assert (objectives_of(run), summary_of(run)["held_out_documents"]) == (["mlm"], 1)


def test_its_lines_are_documents_with_the_flag(pretrain, tmp_path):
    (tmp_path / "book.txt").write_text("\n".join(toy_documents(12)))
    run, printed = pretrain(tmp_path / "book.txt", "--text-documents", "line")
    assert "left out" not in printed
    assert objectives_of(run) == ["mlm", "nsp"]
    assert json.loads((run / "shards" / "manifest.json").read_bytes())["documents"] == 12


@pytest.mark.parametrize("count", [2, 3])
def test_two_and_three_documents_train_masked_words(count, pretrain, tmp_path):
    run, printed = pretrain(write_records(tmp_path / "texts.jsonl", toy_documents(count)))
    assert f"there are {count} documents, and next-sentence prediction needs 4" in printed
    assert objectives_of(run) == ["mlm"]


def test_few_next_sentences_are_warned_of_and_found_by_the_doctor(pretrain, tmp_path):
    texts = write_records(tmp_path / "texts.jsonl", single_sentences(20) + toy_documents(5, seed=9))
    run, printed = pretrain(texts)
    why = "20 of 25 documents are a single sentence, after which nothing can follow"
    assert f"Next sentences are easily guessed: {why}" in printed
    assert objectives_of(run) == ["mlm", "nsp"]
    for examined in (run, run / "shards", texts):
        problems = doctor(DoctorSettings(path=str(examined)))["problems"]
        assert any(why in problem["what"] for problem in problems)


@pytest.mark.parametrize(
    ("sentences", "why"),
    [
        ([5] * 3, "there are 3 documents, and next-sentence prediction needs 4"),
        ([], "there are 0 documents"),
        ([1, 1, 1, 2, 2], "3 of 5 documents are a single sentence"),
        ([1, 1, 2, 2], ""),
        ([2, 3, 4, 5], ""),
    ],
)
def test_why_there_are_few_pairs(sentences: list[int], why: str):
    reason = why_few_pairs(np.array(sentences, int))
    assert reason.startswith(why)
    assert bool(reason) == bool(why)


@pytest.mark.parametrize("seed", range(8))
def test_each_part_has_a_document_with_a_next_sentence(seed: int):
    documents = [[3]] * 40
    for place in np.random.default_rng(seed).choice(40, 2, replace=False):
        documents[place] = [3, 3]
    parts = split_held_out(corpus_of(documents), 0.05, at_least=2)
    assert [sum(len(documents[number]) > 1 for number in part) for part in parts] == [1, 1]


@pytest.mark.parametrize(
    ("lengths", "fraction", "held_out"),
    [
        ([10] * 100, 0.01, 100),  # a tenth of a short text
        ([10] * 100, 0.3, 300),
        ([100] * 2000, 0.01, 5000),
        ([100] * 20_000, 0.01, 20_000),
        ([1000] * 1000, 0.5, 200_000),  # no more than is needed
        ([500, 1], 0.01, 1),
        ([1, 500], 0.01, 500),
    ],
)
def test_of_a_single_document_the_end_is_held_out(lengths, fraction, held_out):
    corpus, training, measured = hold_out_end(corpus_of([lengths]), fraction)
    assert (training.tolist(), measured.tolist()) == ([0], [1])
    assert corpus.document_lengths().tolist() == [sum(lengths) - held_out, held_out]


def test_a_single_sentence_is_refused():
    with pytest.raises(UserError, match="the text is a single sentence"):
        hold_out_end(corpus_of([[900]]), 0.01)
