"""The whole workflow with the commands that a user types: from raw text to predictions."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, BertForPreTraining, pipeline

from selfsup import cli
from selfsup.training.compute import Compute
from tests.toy_corpus import toy_documents
from tests.toy_tasks import toy_examples, write_toy_file

MACHINE = ("--device", "cpu", "--precision", "float32", "--threads", "1")

Answer = dict[str, Any]
Command = Callable[..., Answer]


@pytest.fixture(scope="module")
def selfsup() -> Command:
    """Run a command with --json; returns the one object on standard output."""

    def run(*words: str | Path) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main([*map(str, words), "--json"])
        assert status == 0, err.getvalue()
        (line,) = out.getvalue().splitlines()
        return json.loads(line)

    return run


@pytest.fixture(scope="module")
def workflow(selfsup, tmp_path_factory) -> tuple[Path, dict[str, Answer]]:
    """Each command once, in a folder; what each answered, by its name."""
    folder = tmp_path_factory.mktemp("workflow")
    # Half of the documents are of the words that the task is made of.
    reviews = [
        ". ".join(text.capitalize() for _, text in toy_examples(6, seed)) + "."
        for seed in range(100, 140)
    ]
    lines = [json.dumps({"text": text}) for text in [*toy_documents(40), *reviews]]
    (folder / "texts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    write_toy_file(folder / "train.tsv", 320, seed=1)
    write_toy_file(folder / "dev.tsv", 40, seed=2)
    write_toy_file(folder / "test.tsv", 40, seed=3)
    at = folder.joinpath
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Compute, "matmul_peak", lambda self: 1e11)  # measured, it takes seconds
        answers = {
            "train-tokenizer": selfsup(
                "train-tokenizer", at("texts.jsonl"), "--vocab-size", "200",
                "--out", at("tokenizer"),
            ),
            "prepare": selfsup(
                "prepare", at("texts.jsonl"), "--tokenizer", at("tokenizer"), "--out", at("shards"),
                "--workers", "1",
            ),
            "pretrain": selfsup(
                "pretrain", at("shards"), "--encoder", "bert-tiny", "--steps", "40",
                "--batch-size", "8", "--max-length", "32", "--held-out-fraction", "0.1",
                "--evaluate-every", "20", "--out", at("run"), *MACHINE,
            ),
            "fill-mask": selfsup(
                "fill-mask", at("run"), "The [MASK] was very [MASK].", "--top", "3", *MACHINE
            ),
            "finetune": selfsup(
                "finetune", "sequence-classification", "--encoder", at("run"),
                "--train", at("train.tsv"), "--validation", at("dev.tsv"), "--out", at("task"),
                "--epochs", "10", "--learning-rate", "1e-3", "--max-length", "32", *MACHINE,
            ),
            "evaluate": selfsup(
                "evaluate", at("task"), "--data", at("test.tsv"),
                "--predictions", at("answers.jsonl"), *MACHINE,
            ),
            "predict": selfsup("predict", at("task"), "A very witty film", *MACHINE),
            "report": selfsup("report", at("run"), at("task")),
            "doctor": selfsup("doctor", at("shards")),
        }  # fmt: skip
    return folder, answers


def test_the_tokenizer_has_the_size_asked_for(workflow):
    folder, answers = workflow
    assert answers["train-tokenizer"]["vocab_size"] == 200
    assert len(AutoTokenizer.from_pretrained(folder / "tokenizer")) == 200


def test_the_shards_hold_all_documents(workflow):
    _, answers = workflow
    assert answers["prepare"]["documents"] == 80
    assert answers["prepare"]["bad_records"] == 0
    assert answers["prepare"]["tokens"] > 2000


def test_pretraining_measures_what_it_held_out_and_leaves_a_model_for_transformers(workflow):
    folder, answers = workflow
    assert answers["pretrain"]["steps"] == 40
    assert answers["pretrain"]["mlm_loss"] < answers["pretrain"]["unigram_loss"]
    assert json.loads((folder / "run" / "summary.json").read_bytes()) == answers["pretrain"]
    assert BertForPreTraining.from_pretrained(folder / "run" / "model").config.vocab_size == 200


def test_each_mask_gets_its_candidates_with_probabilities(workflow):
    _, answers = workflow
    masks = answers["fill-mask"]["masks"]
    assert [len(mask["candidates"]) for mask in masks] == [3, 3]
    for mask in masks:
        probabilities = [entry["probability"] for entry in mask["candidates"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0 < sum(probabilities) <= 1


def test_the_task_is_learned_and_holds_on_examples_that_were_never_seen(workflow):
    _, answers = workflow
    assert answers["finetune"]["metrics"]["accuracy"]["mean"] > 0.9
    assert answers["evaluate"]["metrics"]["accuracy"] > 0.9
    assert answers["evaluate"]["examples"] == 40


def test_the_predictions_file_holds_an_answer_for_each_example(workflow):
    folder, answers = workflow
    lines = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    right = sum(line["label"] == line["prediction"] for line in lines)
    assert right / len(lines) == answers["evaluate"]["metrics"]["accuracy"]


def test_a_new_text_gets_the_answer_that_transformers_gives(workflow):
    folder, answers = workflow
    (theirs,) = pipeline("text-classification", model=str(folder / "task" / "model"))(
        "A very witty film"
    )
    assert answers["predict"]["label"] == theirs["label"] == "up"
    assert answers["predict"]["probability"] == pytest.approx(theirs["score"], abs=1e-5)


def test_the_report_is_one_page_about_both_runs(workflow):
    folder, answers = workflow
    assert answers["report"]["report"] == str(folder / "comparison.html")
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    assert "Pre-training" in page
    assert "Fine-tuning" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_doctor_finds_the_corpus_small_and_nothing_else(workflow):
    _, answers = workflow
    (problem,) = answers["doctor"]["problems"]
    assert "from so little text" in problem["what"]


def test_every_command_also_prints_for_a_person(workflow, capsys):
    folder, _ = workflow
    for words in (
        ["prepare", folder / "texts.jsonl", "--tokenizer", folder / "tokenizer",
         "--out", folder / "shards", "--workers", "1"],
        ["fill-mask", folder / "run", "The [MASK] was very dull.", *MACHINE],
        ["evaluate", folder / "task", "--data", folder / "test.tsv", *MACHINE],
        ["predict", folder / "task", "A dull plot", *MACHINE],
        ["report", folder / "run"],
        ["doctor", folder / "run"],
    ):  # fmt: skip
        assert cli.main(list(map(str, words))) == 0
        said = capsys.readouterr().out
        assert said.strip(), words[0]
        assert "{" not in said, words[0]
