"""Questions on the command line: learn, measure, predict, and score answers without a model."""

import json
from typing import Any

import pytest

from selfsup.cli import main
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.errors import UserError
from selfsup.finetuning.run import finetune
from selfsup.inference.evaluate import evaluate
from selfsup.inference.predict import predict
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.inference import EvaluateSettings, PredictSettings
from tests.toy_tasks import toy_tokenizer, write_toy_questions


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("questions")
    for name, count, seed in (("train", 160, 1), ("dev", 40, 2)):
        write_toy_questions(folder / f"{name}.json", count, seed, unanswerable=True)
    save_tokenizer(toy_tokenizer(), folder)
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "answers"
    settings = FinetuneSettings(
        task="question-answering", encoder="bert-tiny", tokenizer=str(data),
        train=str(data / "train.json"), validation=str(data / "dev.json"), out=str(out),
        max_length=24, doc_stride=6, epochs=6, batch_size=16, learning_rate=2e-3, device="cpu",
    )  # fmt: skip
    return finetune(settings), out


def read_lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_model_learns_to_answer_and_to_give_no_answer(run):
    summary, out = run
    assert summary["metrics"]["f1"]["mean"] > 0.9
    assert summary["metrics"]["no_answer_f1"]["mean"] > 0.8
    assert summary["failed_seeds"] == []
    config = json.loads((out / "model" / "config.json").read_text())
    assert config["architectures"] == ["BertForQuestionAnswering"]
    assert "null_threshold" in config["selfsup_fitted"]
    assert (config["selfsup_max_length"], config["selfsup_doc_stride"]) == (24, 6)
    assert "--question" in (out / "model" / "README.md").read_text()


def test_what_validation_measured_is_measured_again(run, data):
    summary, out = run
    dev = str(data / "dev.json")
    result = evaluate(EvaluateSettings(model=str(out), data=dev, device="cpu"))
    for name in ("exact_match", "f1"):
        assert result["metrics"][name] == pytest.approx(summary["metrics"][name]["mean"])


def test_written_answers_score_as_the_model_that_gave_them(run, data, tmp_path):
    _, out = run
    dev, official, lines = data / "dev.json", tmp_path / "a.json", tmp_path / "a.jsonl"
    result = evaluate(
        EvaluateSettings(model=str(out), data=str(dev), predictions=str(official), device="cpu")
    )
    scored = evaluate(EvaluateSettings(predictions_file=str(official), data=str(dev)))
    loss = result["metrics"].pop("loss")
    assert loss > 0
    assert scored["metrics"] == pytest.approx(result["metrics"])
    assert (scored["examples"], scored["missing"]) == (40, 0)
    told = predict(PredictSettings(model=str(out), data=str(dev), out=str(lines), device="cpu"))
    answers = json.loads(official.read_text())
    assert {line["id"]: line["answer"] for line in read_lines(lines)} == answers
    assert told["answered"] + told["unanswered"] == told["examples"] == 40
    assert told["unanswered"] == list(answers.values()).count("")


def test_a_question_gets_the_answer_that_it_gets_in_a_file(run, data, tmp_path):
    _, out = run
    paragraphs = json.loads((data / "dev.json").read_text())["data"][0]["paragraphs"]
    context = paragraphs[1]["context"]
    given: Any = {"model": str(out), "question": "the film is", "device": "cpu"}
    on_the_line = predict(PredictSettings(text=context, **given))
    (tmp_path / "context.txt").write_text(context)
    in_a_file = predict(PredictSettings(context_file=str(tmp_path / "context.txt"), **given))
    assert on_the_line == in_a_file
    assert on_the_line["answer"] == paragraphs[1]["qas"][0]["answers"][0]["text"]
    assert context[on_the_line["start"] : on_the_line["end"]] == on_the_line["answer"]
    assert len(on_the_line["n_best"]) == 5


def test_flags_change_how_questions_are_answered(run, data):
    _, out = run
    given: Any = {"model": str(out), "text": "the plot is Fine", "question": "film"}
    assert predict(PredictSettings(null_threshold=1e6, device="cpu", **given))["answer"] == ""
    always = predict(
        PredictSettings(null_threshold=-1e6, max_answer_length=1, device="cpu", **given)
    )
    assert len(always["answer"].split()) == 1


def test_a_text_of_nothing_and_a_text_of_very_much_are_answered(run):
    _, out = run
    given: Any = {"model": str(out), "question": "the film is", "device": "cpu"}
    assert predict(PredictSettings(text=" ", **given))["answer"] == ""
    context = "the plot is , " * 3000 + "Great"
    found = predict(PredictSettings(text=context, **given))
    assert found["answer"] in ("Great", "")


def score(tmp_path, data, answers: object) -> dict:
    path = tmp_path / "answers.json"
    path.write_text(answers if isinstance(answers, str) else json.dumps(answers))
    return evaluate(EvaluateSettings(predictions_file=str(path), data=str(data / "dev.json")))


def perfect(data) -> dict[str, str]:
    paragraphs = json.loads((data / "dev.json").read_text())["data"][0]["paragraphs"]
    questions = [question for paragraph in paragraphs for question in paragraph["qas"]]
    return {
        question["id"]: question["answers"][0]["text"] if question["answers"] else ""
        for question in questions
    }


def test_perfect_answers_score_everything(data, tmp_path):
    result = score(tmp_path, data, perfect(data))
    assert set(result["metrics"].values()) == {1.0}
    assert result["task"] == "question-answering"


def test_missing_answers_count_as_wrong_and_are_told_of(data, tmp_path, capsys):
    answers = perfect(data)
    del answers["q0"], answers["q1"]  # one of a question without an answer, one of one with
    result = score(tmp_path, data, {**answers, "other": "x"})
    assert result["metrics"]["exact_match"] == pytest.approx(38 / 40)
    assert result["metrics"]["no_answer_f1"] < 1
    assert result["missing"] == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "2 of 40 questions are missing and count as wrong (the first is q0)" in told
    assert "1 answer is to no question" in told


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ("", "the file is empty"),
        ("{", "not JSON"),
        ([], 'not in the form {"id": "answer"}'),
        ({}, 'not in the form {"id": "answer"}'),
        ({"q1": 3}, "question q1: the answer is no text"),
        ({"x": "y"}, "answers no question of"),
    ],
)
def test_a_file_that_holds_no_answers_is_refused(data, tmp_path, answers, said):
    with pytest.raises(UserError, match=said.replace("{", r"\{")) as error:
        score(tmp_path, data, answers)
    assert str(error.value).startswith(str(tmp_path / "answers.json"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "--data", "x"], "either a MODEL to measure or --predictions-file"),
        (["evaluate", "m", "--predictions-file", "f", "--data", "x"], "either a MODEL"),
        (["evaluate", "--predictions-file", "f", "--predictions", "g", "--data", "x"], "needs a"),
        (
            ["evaluate", "--predictions-file", "f", "--data", "x", "--null-threshold", "1"],
            "--null-threshold is for a MODEL's answers",
        ),
        (
            ["evaluate", "--predictions-file", "f", "--data", "x", "--batch-size", "3"],
            "--batch-size is for a MODEL's answers",
        ),
        (["predict", "m", "caf\udce9"], "TEXT caf\\udce9: is not UTF-8"),
        (["predict", "m", "t", "--question", "caf\udce9"], "--question caf\\udce9: is not UTF-8"),
        (["fill-mask", "m", "caf\udce9 [MASK]"], "TEXT caf\\udce9 [MASK]: is not UTF-8"),
        (["predict", "m", "t", "--text-column", "a"], "--text-column goes with --data FILE"),
        (["predict", "m", "--question", "q"], "--question needs one text"),
        (
            ["predict", "m", "t", "--question", "q", "--context-file", "f"],
            "--question needs one text",
        ),
        (["predict", "m", "--context-file", "f"], "--context-file goes with --question"),
        (
            ["predict", "m", "t", "--question", "q", "--data", "f", "--out", "o"],
            "either --question",
        ),
    ],
)
def test_flags_that_do_not_go_together_are_refused(arguments, said, capsys):
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_flags_of_other_tasks_are_refused(run, data):
    _, out = run
    with pytest.raises(UserError, match=r"--text-column is for .* not for question-answering"):
        evaluate(
            EvaluateSettings(
                model=str(out), data=str(data / "dev.json"), text_column="x", device="cpu"
            )
        )
    with pytest.raises(UserError, match="give a --question and a text"):
        predict(PredictSettings(model=str(out), text="the film", device="cpu"))
    with pytest.raises(UserError, match=r"--context-file .*none: cannot be read"):
        predict(
            PredictSettings(
                model=str(out), question="q", context_file=str(data / "none"), device="cpu"
            )
        )


def test_an_answer_at_the_wrong_place_stops_before_anything_is_written(data, tmp_path):
    whole = json.loads((data / "train.json").read_text())
    whole["data"][0]["paragraphs"][1]["qas"][0]["answers"][0]["answer_start"] += 1
    (tmp_path / "train.json").write_text(json.dumps(whole))
    out = tmp_path / "run"
    settings = FinetuneSettings(
        task="question-answering", encoder="bert-tiny", train=str(tmp_path / "train.json"),
        validation=str(data / "dev.json"), out=str(out), device="cpu",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"train\.json, question q1: the answer .* does not stand"):
        finetune(settings)
    assert not out.exists()
