"""Entities from the files to the run folder, and from there to texts."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from seqeval import metrics as peer

from selfsup.errors import UserError
from selfsup.finetuning.run import finetune
from selfsup.inference.evaluate import evaluate
from selfsup.inference.predict import predict
from selfsup.settings.inference import EvaluateSettings, PredictSettings
from tests.toy_tasks import TAGS, toy_sentences, toy_settings, write_toy_conll, write_toy_model

settings = partial(toy_settings, task="token-classification", epochs=5)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_toy_conll(folder / "train.conll", 160, seed=1)
    write_toy_conll(folder / "dev.conll", 40, seed=2)
    write_toy_model(folder / "encoder")
    return folder


@pytest.fixture(scope="module")
def run(files, tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("runs") / "first"
    return out, finetune(settings(files, out))


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_entities_are_learned(run):
    out, result = run
    assert result["metrics"]["f1"]["mean"] > 0.95
    assert list(result["metrics"]) == ["f1", "precision", "recall", "accuracy"]
    assert [row["label"] for row in result["classes"]] == ["BAD", "GOOD"]
    assert result["confusion"]["labels"] == ["BAD", "GOOD", "O"]
    config = json.loads((out / "model" / "config.json").read_bytes())
    assert config["architectures"] == ["BertForTokenClassification"]
    assert list(config["id2label"].values()) == list(TAGS)
    card = (out / "model" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: token-classification" in card
    assert 'model")("A text.", aggregation_strategy="first")' in card


def test_a_frozen_encoder_learns_from_features_as_from_texts(files, tmp_path):
    result = finetune(settings(files, tmp_path / "run", freeze="encoder", epochs=8))
    data = str(files / "dev.conll")
    again = evaluate(
        EvaluateSettings(model=str(tmp_path / "run"), data=data, device="cpu", precision="float32")
    )
    assert result["metrics"]["f1"]["mean"] > 0.3
    assert again["metrics"]["f1"] == pytest.approx(result["metrics"]["f1"]["mean"], abs=1e-6)


def test_the_predictions_of_evaluation_give_its_metrics(run, files, tmp_path):
    out, trained = run
    result = evaluate(
        EvaluateSettings(
            model=str(out),
            data=str(files / "dev.conll"),
            predictions=str(tmp_path / "answers.jsonl"),
            device="cpu",
            precision="float32",
        )
    )
    answers = lines_of(tmp_path / "answers.jsonl")
    sentences = toy_sentences(40, seed=2)
    assert [(answer["words"], answer["tags"]) for answer in answers] == sentences
    f1 = peer.f1_score([tags for _, tags in sentences], [line["prediction"] for line in answers])
    assert result["metrics"]["f1"] == f1 == trained["metrics"]["f1"]["mean"]
    assert result["examples"] == 40


def test_a_text_gets_its_entities_at_their_places(run):
    text = "A FINE  warm film, was dull"
    result = predict(PredictSettings(model=str(run[0]), text=text, device="cpu"))
    found = [(entity["text"], entity["label"]) for entity in result["entities"]]
    # What it makes of a comma, which it never met, is chance.
    known = [entity for entity in found if entity[0] != ","]
    assert known == [("FINE  warm", "GOOD"), ("dull", "BAD")]
    for entity in result["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert entity["probability"] > 0.5


def test_a_file_of_texts_gets_a_line_of_entities_each(run, tmp_path):
    (tmp_path / "new.txt").write_text("fine warm film\n\nthe plot\n", encoding="utf-8")
    out = tmp_path / "answers.jsonl"
    new = str(tmp_path / "new.txt")
    result = predict(PredictSettings(model=str(run[0]), data=new, out=str(out), device="cpu"))
    answers = lines_of(out)
    assert [answer["text"] for answer in answers] == ["fine warm film", "the plot"]
    assert [entity["text"] for entity in answers[0]["entities"]] == ["fine warm"]
    assert answers[1]["entities"] == []
    assert (result["examples"], result["entities"]) == (2, {"BAD": 0, "GOOD": 1})


def test_nothing_of_a_long_text_is_cut(run):
    words = [word for sentence, _ in toy_sentences(60, seed=7) for word in sentence]
    tags = [tag for _, sentence in toy_sentences(60, seed=7) for tag in sentence]
    result = predict(PredictSettings(model=str(run[0]), text=" ".join(words), device="cpu"))
    assert result["words"] == words
    right = sum(one == other for one, other in zip(result["tags"], tags, strict=True))
    assert right > 0.95 * len(words)


def test_a_word_of_a_million_characters_has_a_tag(run):
    text = "fine " + "x" * 1_000_000 + " dull"
    result = predict(PredictSettings(model=str(run[0]), text=text, device="cpu"))
    assert len(result["tags"]) == 3
    assert result["entities"][-1]["end"] == len(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("fine\tB-GOOD\nParis\tB-LOC\n", r"dev\.conll, line 2: tag 'B-LOC' was not among those"),
        ("fine\tB-GOOD\nfilm\n", r"dev\.conll, line 2: one column, 'film'"),
        ("", r"dev\.conll: holds no sentences"),
    ],
)
def test_a_mistake_in_a_file_is_told_before_anything_is_written(files, tmp_path, content, said):
    (tmp_path / "dev.conll").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        finetune(settings(files, tmp_path / "run", validation=str(tmp_path / "dev.conll")))
    assert not (tmp_path / "run").exists()


def test_a_sequence_that_begins_with_i_is_reported_and_counts_as_an_entity(run, tmp_path, capsys):
    (tmp_path / "dev.conll").write_text("the\tO\nwarm\tI-GOOD\n\nfine\tB-GOOD\n", encoding="utf-8")
    result = evaluate(
        EvaluateSettings(model=str(run[0]), data=str(tmp_path / "dev.conll"), device="cpu")
    )
    assert result["metrics"]["f1"] == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "1 tag breaks the BIO scheme (line 2: I-GOOD after O)" in said


def test_flags_of_other_tasks_are_refused(files, tmp_path):
    with pytest.raises(UserError, match="--label-type is for"):
        settings(files, tmp_path / "run", label_type="number")
