"""Measuring a fine-tuned model, and using it on texts and files."""

import json
from typing import Any

import pytest
from transformers import BertConfig, BertForSequenceClassification

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.layers import initialize
from selfsup.errors import UserError
from selfsup.inference import predict as inference
from selfsup.inference.evaluate import evaluate
from selfsup.inference.fill_mask import fill_mask_command
from selfsup.inference.predict import predict
from selfsup.settings.inference import EvaluateSettings, FillMaskSettings, PredictSettings
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.encoders import Limits
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import save_task_model
from tests.tokenizer_folder import text_preparation
from tests.toy_tasks import (
    CONFIG,
    VOCABULARY,
    toy_examples,
    toy_tokenizer,
    write_toy_file,
    write_toy_model,
)

task = Classification(paired=False)

LABELS = Labels("class", ("down", "up"))
EXAMPLES = toy_examples(21, seed=6)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("model")
    save_tokenizer(toy_tokenizer(), folder)
    classifier = task.build_model(BertEncoder(CONFIG), LABELS, 0.1)
    initialize(classifier, 0.3, seed=3)
    preparation = text_preparation(folder, Limits(32, 0))
    save_task_model(folder, task, classifier, LABELS, preparation, "# Card\n")
    return str(folder)


@pytest.fixture
def data(tmp_path) -> str:
    return str(write_toy_file(tmp_path / "dev.tsv", 21, seed=6))


def read_lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_classifier_of_others_is_one_of_pairs_where_the_file_holds_pairs(tmp_path):
    folder = tmp_path / "peer"
    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40, id2label={0: "down", 1: "up"},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    save_tokenizer(toy_tokenizer(), folder)
    path = tmp_path / "pairs.tsv"
    rows = [f"{label}\t{text}\t{text[::-1]}" for label, text in EXAMPLES]
    path.write_text("\n".join(["label\tsentence1\tsentence2", *rows]) + "\n")

    def measured(**columns: Any) -> tuple[str, dict]:
        chosen = EvaluateSettings(model=str(folder), data=str(path), device="cpu", **columns)
        return (result := evaluate(chosen))["task"], result["metrics"]

    assert measured() == measured(text_pair_column="sentence2")
    assert measured()[0] == "pair-classification"
    assert measured(text_column="sentence1")[0] == "sequence-classification"


def test_a_model_of_ours_says_itself_whether_it_is_one_of_pairs(model, data, tmp_path, monkeypatch):
    """The file is then not read for it, and may be one that can be read once alone."""
    monkeypatch.setattr(inference, "is_of_pairs", pytest.fail)
    evaluate(EvaluateSettings(model=model, data=data, device="cpu"))
    predict(PredictSettings(model=model, data=data, out=str(tmp_path / "out"), device="cpu"))


def test_predictions_are_in_the_order_of_the_file_and_give_the_metrics(model, data, tmp_path):
    out = tmp_path / "answers.jsonl"
    result = evaluate(
        EvaluateSettings(model=model, data=data, predictions=str(out), batch_size=4, device="cpu")
    )
    answers = read_lines(out)
    assert [(answer["label"], answer["text"]) for answer in answers] == EXAMPLES
    for answer in answers:
        assert answer["prediction"] == max(answer["probabilities"], key=answer["probabilities"].get)
    right = sum(answer["prediction"] == answer["label"] for answer in answers)
    assert 0 < right < 21
    assert result["metrics"]["accuracy"] == pytest.approx(right / 21)
    assert (result["task"], result["examples"]) == ("sequence-classification", 21)
    assert result["predictions"] == str(out)


def test_a_label_that_the_model_does_not_know_is_named_with_its_line(model, tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("label\tsentence\nup\ta\nright\tthe\n")
    with pytest.raises(UserError, match=r"dev\.tsv, line 3: label 'right'"):
        evaluate(EvaluateSettings(model=model, data=str(path), device="cpu"))


def test_an_empty_text_is_measured_like_any_other(model, tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("label\tsentence\nup\t\ndown\tdull\n")
    assert evaluate(EvaluateSettings(model=model, data=str(path), device="cpu"))["examples"] == 2


def test_a_text_gets_the_answer_that_it_gets_in_a_file(model, data, tmp_path):
    out = tmp_path / "answers.jsonl"
    result = predict(PredictSettings(model=model, data=data, out=str(out), device="cpu"))
    answers = read_lines(out)
    assert [answer["text"] for answer in answers] == [text for _, text in EXAMPLES]
    assert result["examples"] == 21
    assert result["labels"] == {
        label: sum(answer["label"] == label for answer in answers) for label in ("down", "up")
    }
    alone = predict(PredictSettings(model=model, text=EXAMPLES[5][1], device="cpu"))
    assert alone["label"] == answers[5]["label"]
    assert alone["probabilities"] == pytest.approx(answers[5]["probabilities"], abs=0.02)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "TEXT is empty"),
        (" \n", "TEXT is empty"),
        ("FILE", r"TEXT .*dev\.tsv: is a file: give it with --data"),
    ],
)
def test_what_is_hardly_meant_as_a_text_is_refused(model, data, text, said):
    given = data if text == "FILE" else text
    with pytest.raises(UserError, match=said):
        predict(PredictSettings(model=model, text=given, device="cpu"))


def test_a_text_may_be_longer_than_any_file_name_and_it_is_said_that_it_is_cut(model, capsys):
    answer = predict(PredictSettings(model=model, text="a fine film " * 999, device="cpu"))
    assert answer["label"] in ("down", "up")
    assert "\n1 of 1 texts cut at 32 tokens" in f"\n{capsys.readouterr().err}"


def test_a_file_to_predict_for_needs_no_labels(model, tmp_path):
    path = tmp_path / "new.jsonl"
    path.write_text('{"text": "a fine film"}\n{"text": ""}\n')
    out = tmp_path / "answers.jsonl"
    predict(PredictSettings(model=model, data=str(path), out=str(out), device="cpu"))
    assert [answer["text"] for answer in read_lines(out)] == ["a fine film", ""]


def test_masks_are_filled_by_the_command_as_by_the_function(tmp_path):
    write_toy_model(tmp_path)
    result = fill_mask_command(
        FillMaskSettings(model=str(tmp_path), text="a [MASK] [MASK]", top=3, device="cpu")
    )
    assert result["text"] == "a [MASK] [MASK]"
    assert [len(mask["candidates"]) for mask in result["masks"]] == [3, 3]
