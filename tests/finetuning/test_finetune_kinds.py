"""Pairs, several labels, numbers, long texts: from files to answers, and to `transformers`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from selfsup.errors import UserError
from selfsup.finetuning.run import finetune
from selfsup.inference.evaluate import evaluate
from selfsup.inference.predict import predict
from selfsup.inference.predictor import Predictor
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.inference import EvaluateSettings, PredictSettings
from tests.toy_tasks import BAD, GOOD, ON_CPU, OTHER, toy_examples, write_toy_model


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def pair_rows(count: int, seed: int) -> list[dict]:
    """The label says which way the second text goes."""
    random = np.random.default_rng(seed)
    return [
        {"premise": " ".join(random.choice(OTHER[:-1], 3)), "hypothesis": text, "label": label}
        for label, text in toy_examples(count, seed)
    ]


def several_rows(count: int, seed: int) -> list[dict]:
    """A text has the label "good" for a good word and "bad" for a bad one: both, one, or none."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        words = [str(word) for word in random.choice(OTHER[:-1], 5)]
        labels = [name for bit, name in ((1, "good"), (2, "bad")) if number & bit]
        words += [str(random.choice(GOOD if name == "good" else BAD)) for name in labels]
        random.shuffle(words)
        rows.append({"text": " ".join(words), "labels": labels})
    return rows


def number_rows(count: int, seed: int) -> list[dict]:
    """Prices, so to say: hundreds more for good words than for bad ones."""
    random = np.random.default_rng(seed)
    return [
        {"text": text, "score": f"{(900 if label == 'up' else 500) + random.normal(0, 20):.2f}"}
        for label, text in toy_examples(count, seed)
    ]


ROWS = {"pairs": pair_rows, "several": several_rows, "numbers": number_rows}
TASKS = {"pairs": "pair-classification"}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    return str(write_toy_model(tmp_path_factory.mktemp("encoder")))


def settings(encoder: str, folder: Path, kind: str, **changed: Any) -> FinetuneSettings:
    values = {
        "task": TASKS.get(kind, "sequence-classification"),
        "encoder": encoder,
        "train": write_rows(folder / "train.jsonl", ROWS[kind](640, 1)),
        "validation": write_rows(folder / "dev.jsonl", ROWS[kind](60, 2)),
        "out": str(folder / "run"),
        "epochs": 8,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "max_length": 32,
        **ON_CPU,
    }
    return FinetuneSettings(**(values | changed))


@pytest.fixture(scope="module")
def runs(encoder, tmp_path_factory) -> dict[str, tuple[Path, dict]]:
    made = {}
    for kind in ROWS:
        folder = tmp_path_factory.mktemp(kind)
        made[kind] = folder, finetune(settings(encoder, folder, kind))
    return made


def answers_of(folder: Path) -> list[dict]:
    """Predictions for the validation examples, as ``predict`` writes them."""
    out = folder / "answers.jsonl"
    out.unlink(missing_ok=True)  # numbers without the right ones look like labelled data
    predict(
        PredictSettings(
            model=str(folder / "run"), data=str(folder / "dev.jsonl"), out=str(out), **ON_CPU
        )
    )
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("kind", "metric", "at_least"),
    [("pairs", "accuracy", 0.9), ("several", "f1", 0.9), ("numbers", "spearman", 0.7)],
)
def test_each_kind_is_learned_and_measured_again_as_it_was(runs, kind, metric, at_least):
    folder, result = runs[kind]
    best = result["metrics"][metric]["mean"]
    assert result["selection_metric"] == metric
    assert best > at_least
    assert result["failed_seeds"] == []
    again = evaluate(
        EvaluateSettings(model=str(folder / "run"), data=str(folder / "dev.jsonl"), **ON_CPU)
    )
    for name, value in again["metrics"].items():
        if name != "loss":
            # Ranks of almost equal predictions may change places with the batches.
            assert value == pytest.approx(result["metrics"][name]["mean"], rel=1e-3)


def test_numbers_come_in_their_own_units(runs):
    folder, _ = runs["numbers"]
    given = [float(row["score"]) for row in number_rows(60, 2)]
    values = [answer["value"] for answer in answers_of(folder)]
    assert np.mean(np.abs(np.subtract(values, given))) < 80


def test_several_labels_are_told_each_with_its_probability(runs):
    folder, _ = runs["several"]
    for answer in answers_of(folder):
        likely = [name for name, p in answer["probabilities"].items() if p > 0.5]
        assert answer["labels"] == likely


def test_pairs_are_predicted_one_by_one_as_in_a_file(runs):
    folder, _ = runs["pairs"]
    for row, answer in list(zip(pair_rows(60, 2), answers_of(folder), strict=True))[:3]:
        alone = predict(
            PredictSettings(
                model=str(folder / "run"), text=row["premise"], text_pair=row["hypothesis"],
                **ON_CPU,
            )
        )  # fmt: skip
        assert (alone["text"], alone["text_pair"]) == (row["premise"], row["hypothesis"])
        assert alone["label"] == answer["label"]
        assert alone["probability"] == pytest.approx(answer["probability"], abs=1e-5)


@pytest.mark.parametrize("kind", ROWS)
def test_what_is_written_runs_in_the_pipeline_of_transformers(runs, kind: str):
    folder, _ = runs[kind]
    pipeline: Any = transformers.pipeline(
        "text-classification", model=str(folder / "run" / "model"), top_k=None
    )
    told = {"premise": "text", "hypothesis": "text_pair", "text": "text"}
    rows = [{told[k]: v for k, v in row.items() if k in told} for row in ROWS[kind](8, 2)]
    for ours, theirs in zip(answers_of(folder)[:8], pipeline(rows), strict=True):
        scores = {entry["label"]: entry["score"] for entry in theirs}
        ours = {"value": ours["value"]} if kind == "numbers" else ours["probabilities"]
        assert scores == pytest.approx(ours, abs=1e-5, rel=1e-4)


def test_a_pair_classifier_that_transformers_saved_is_asked_for_pairs(runs, tmp_path):
    folder, _ = runs["pairs"]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder / "run/model")
    for name in list(vars(model.config)):
        if name.startswith("selfsup_"):
            delattr(model.config, name)
    model.save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(folder / "run/model").save_pretrained(tmp_path)
    ours, theirs = (
        predict(PredictSettings(model=str(path), text="a plot", text_pair="very dull", **ON_CPU))
        for path in (folder / "run", tmp_path)
    )
    assert theirs["probabilities"] == pytest.approx(ours["probabilities"], abs=1e-6)


# Long texts.


def test_what_tells_at_the_end_of_a_long_text_is_found_in_windows_alone(encoder, tmp_path):
    """The telling word comes last, where a cut text has lost it."""
    random = np.random.default_rng(0)

    def rows(count: int, seed: int) -> list[dict]:
        return [
            {"label": label, "text": " ".join(random.choice(OTHER[:-1], 16)) + f" {word}"}
            for label, text in toy_examples(count, seed)
            for word in set(text.split()) & {*GOOD, *BAD}
        ]

    accuracies = {}
    for long_text in ("truncate", "window"):
        given = settings(
            encoder, tmp_path, "several", max_length=16, long_text=long_text, epochs=8,
            train=write_rows(tmp_path / "t.jsonl", rows(320, 1)),
            validation=write_rows(tmp_path / "d.jsonl", rows(60, 2)),
            out=str(tmp_path / long_text),
        )  # fmt: skip
        accuracies[long_text] = finetune(given)["metrics"]["accuracy"]["mean"]
    assert accuracies["window"] > 0.9 > 0.7 > accuracies["truncate"]
    config = json.loads((tmp_path / "window/model/config.json").read_bytes())
    assert (config["selfsup_long_text"], config["selfsup_max_length"]) == ("window", 16)
    frozen = settings(
        encoder, tmp_path, "several", max_length=16, long_text="window", freeze="encoder",
        train=str(tmp_path / "t.jsonl"), validation=str(tmp_path / "d.jsonl"),
        out=str(tmp_path / "frozen"), epochs=2,
    )  # fmt: skip
    assert finetune(frozen)["metrics"]["accuracy"]["mean"] > 0


def test_a_text_of_a_million_characters_has_an_answer(encoder, tmp_path):
    long = "film " * 200_000
    examples = [
        *({"label": label, "text": text} for label, text in toy_examples(16, 1)),
        {"label": "up", "text": long},
    ]
    path = write_rows(tmp_path / "long.jsonl", examples)
    given = settings(
        encoder, tmp_path, "several", train=path, validation=path, epochs=1, long_text="window"
    )
    assert finetune(given)["train_examples"] == 17
    (answer,) = Predictor.load(tmp_path / "run", "cpu", "float32", 1).predict([long])
    assert answer["label"] in ("up", "down")


# What is refused.


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"text_pair_column": "text"}, "--text-pair-column is for pair-classification, not for"),
        ({"doc_stride": 8}, "--doc-stride is for windows of longer texts: add --long-text window"),
        ({"doc_stride": 20, "long_text": "window"}, "windows of 32 tokens can share 16 at most"),
        ({"label_type": "number"}, r"train\.jsonl, line 1: label \[\] is no number"),
        ({"label_type": "class"}, r"train\.jsonl, line 1: label \[\] is a list"),
        ({"label_type": "tags"}, "--label-type must be one of class, multi, number"),
        ({"label_column": "mark"}, "--label-column mark: no such column"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(encoder, tmp_path, changed, said):
    with pytest.raises(UserError, match=said) as refused:
        finetune(settings(encoder, tmp_path, "several", **changed))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("task", ["pair-classification", "question-answering"])
def test_a_model_of_one_segment_is_refused_for_pairs(tmp_path, task):
    encoder = write_toy_model(tmp_path / "encoder")
    config = json.loads((encoder / "config.json").read_bytes())
    (encoder / "config.json").write_text(json.dumps(config | {"type_vocab_size": 1}))
    data = {}
    if task == "question-answering":
        questions = json.dumps({"data": [{"paragraphs": [{"context": "a film", "qas": [
            {"id": "1", "question": "what?", "answers": [{"text": "film", "answer_start": 2}]}
        ]}]}]})  # fmt: skip
        (tmp_path / "squad.json").write_text(questions)
        data = dict.fromkeys(("train", "validation"), str(tmp_path / "squad.json"))
    with pytest.raises(UserError, match="tells no two segments apart") as refused:
        finetune(settings(str(encoder), tmp_path, "pairs", task=task, **data))
    assert task in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_model_of_pairs_asks_for_the_second_text_and_one_of_texts_refuses_it(runs):
    pairs, texts = (str(runs[kind][0] / "run") for kind in ("pairs", "several"))
    with pytest.raises(UserError, match="give the second text with --text-pair"):
        predict(PredictSettings(model=pairs, text="a film", **ON_CPU))
    with pytest.raises(UserError, match="--text-pair is for pair-classification"):
        predict(PredictSettings(model=texts, text="a", text_pair="b", **ON_CPU))
