"""The page of a fine-tuning run, of each kind of task, and of several runs side by side."""

import re
from pathlib import Path
from typing import Any

import pytest

from selfsup.report.page import write_report
from selfsup.settings.finetune import FinetuneSettings
from tests.report.conftest import write_run
from tests.report.made_up_answers import (
    keep,
    of_numbers,
    of_one_label,
    of_questions,
    of_sentences,
)
from tests.report.outline import Outline, report_on

CLASSES = [
    {"label": "down", "precision": 0.75, "recall": 0.6, "f1": 0.667, "examples": 1234},
    {"label": "up", "precision": 0.5, "recall": 0.7, "f1": 0.583, "examples": 10},
]
SUMMARY = {
    "task": "sequence-classification",
    "metrics": {
        "accuracy": {"mean": 0.7, "std": 0.2, "values": [0.5, 0.9]},
        "f1": {"mean": 0.6, "std": 0.2, "values": [0.5, 0.7]},
    },
    "selection_metric": "accuracy",
    "chance": 0.55,
    "baseline": {"accuracy": 0.55, "f1": 0.35},
    "seeds": [4, 5, 6],
    "failed_seeds": [4, 6],
    "best_seed": 5,
    "best_epochs": {"4": 1, "5": 2},
    "validation_examples": 1244,
}


def finetuned(folder: Path, summary: dict[str, Any], *, epochs: int = 4, **changed: Any) -> Path:
    """A run's folder, with the epochs of seeds 4 and 5."""
    task = summary["task"]
    values = {"task": task, "encoder": "model", "train": "a", "validation": "b", "out": "c"}
    names = summary["metrics"]
    lines = [
        {
            "seed": seed,
            "epoch": epoch,
            "train_loss": 1 / epoch,
            "validation": dict.fromkeys((*names, "loss"), 0.1 * seed + 0.1 * epoch),
        }
        for seed in (4, 5)
        for epoch in range(1, epochs + 1)
    ]
    return write_run(folder, FinetuneSettings(**(values | changed)), lines, summary)


def rows_of(page: Outline, head: str) -> list[list[str]]:
    """The body of the table whose header has this cell, and whose rows are named."""
    for table in page.tables:
        if head in table[0]:
            return table[1:]
    raise AssertionError(f"no table has a column {head}")


def test_each_seed_is_shown_with_its_best_epoch_and_what_became_of_it(tmp_path):
    page = report_on(finetuned(tmp_path / "run", SUMMARY))
    assert rows_of(page, "Best epoch") == [
        ["4", "1", "50.0 %", "50.0 %", "failed"],
        ["5", "2", "90.0 %", "70.0 %", "kept"],
        ["6", "–", "–", "–", "failed"],
        ["Baseline (constant answer)", "–", "55.0 %", "35.0 %", ""],
    ]
    shown = page.all_text()
    assert "of seed 5 after epoch 2; here are its results on the 1,244" not in shown  # of nothing


def test_the_verdict_comes_first_on_the_page(tmp_path):
    page = report_on(finetuned(tmp_path / "run", SUMMARY))
    first = page.of("p")[2]  # after the kind of page, and what was trained on what
    assert first.replace("\u00a0", " ") == (
        "1 of 3 seeds (seed 4) did no better than a constant answer. 1 of 3 seeds (seed 6) "
        "diverged: the loss became infinite. Accuracy is 70.0 % ± 20.0 % on 1,244 validation "
        "examples; a constant answer gets 55.0 %."
    )


def test_every_metric_has_its_baseline_beside_it(tmp_path):
    page = report_on(finetuned(tmp_path / "run", SUMMARY))
    small = [text.replace("\u00a0", " ") for text in page.of("small")]
    assert small == [
        "± 20.0 % over 2 seeds\nbaseline 55.0 %",
        "± 20.0 % over 2 seeds\nbaseline 35.0 %",
    ]


def test_few_epochs_are_a_table_that_ends_with_the_baseline(tmp_path):
    page = report_on(finetuned(tmp_path / "run", SUMMARY, epochs=2))
    assert "Curves" not in page.of("h2")
    assert rows_of(page, "Training loss, nats an example") == [
        ["seed 4, epoch 1", "1.000", "50.0 %", "50.0 %", "0.500"],
        ["seed 4, epoch 2", "0.500", "60.0 %", "60.0 %", "0.600"],
        ["seed 5, epoch 1", "1.000", "60.0 %", "60.0 %", "0.600"],
        ["seed 5, epoch 2", "0.500", "70.0 %", "70.0 %", "0.700"],
        ["Baseline (constant answer)", "–", "55.0 %", "35.0 %", "–"],
    ]


def test_a_run_from_before_there_were_baselines_shows_the_one_it_has(tmp_path):
    older = {name: value for name, value in SUMMARY.items() if name != "baseline"}
    page = report_on(finetuned(tmp_path / "run", older, epochs=2))
    assert rows_of(page, "Training loss, nats an example")[-1][1:] == ["–", "55.0 %", "–", "–"]


def test_the_metric_that_is_chosen_by_comes_first_and_each_has_its_baseline(tmp_path):
    page = report_on(finetuned(tmp_path / "run", SUMMARY | {"selection_metric": "f1"}))
    titles = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert titles == [
        "Validation: F1", "Validation: Accuracy", "Validation: Loss", "Training loss",
    ]  # fmt: skip
    assert page.of("text").count("constant answer") == 2
    assert page.of("text").count("seed 4") == page.of("text").count("seed 5") == 4


def test_each_label_has_its_precision_recall_f1_and_count(tmp_path):
    confusion = {"labels": ["down", "up"], "matrix": [[3, 1], [0, 2]]}
    summary = SUMMARY | {"classes": CLASSES, "confusion": confusion}
    page = report_on(finetuned(tmp_path / "run", summary))
    assert rows_of(page, "Precision") == [
        ["down", "75.0 %", "60.0 %", "66.7 %", "1,234"],
        ["up", "50.0 %", "70.0 %", "58.3 %", "10"],
    ]
    assert rows_of(page, "down") == [["down", "3", "1"], ["up", "0", "2"]]
    assert "of seed 5 after epoch 2; here are its results on the 1,244" in page.all_text()


def test_of_very_many_labels_the_pairs_that_are_confused_most_are_named(tmp_path):
    labels = [f"label {number}" for number in range(40)]
    matrix = [[0] * 40 for _ in labels]
    for place in range(40):
        matrix[place][place] = 10
    matrix[3][7], matrix[5][2] = 2, 30
    summary = SUMMARY | {"confusion": {"labels": labels, "matrix": matrix}}
    page = report_on(finetuned(tmp_path / "run", summary))
    assert rows_of(page, "Taken for") == [
        ["label 5", "label 2", "30", "75.0 %"],
        ["label 3", "label 7", "2", "16.7 %"],
    ]


def test_a_text_that_holds_a_script_is_shown_and_not_run(tmp_path):
    text = '<script>alert("x")</script> & <img src=x onerror=alert(1)>'
    records = of_one_label((text, "<b>", 0.9))
    page = report_on(keep(finetuned(tmp_path / "run", SUMMARY), records))
    assert rows_of(page, "Of the label") == [[text, "<b>", "up", "90.0 %", "–"]]
    assert [tag for tag, _, _ in page.attributes if tag == "img"] == []
    assert len(page.of("script")) == 1  # the page's own


def test_marks_stand_in_escaped_sentences(tmp_path):
    records = of_sentences(("<b> & <i>", "O B-X O", "O O O", [1, 0.9, 1]))
    run = keep(finetuned(tmp_path / "run", SUMMARY | {"task": "token-classification"}), records)
    page = report_on(run)
    assert page.of("mark") == ["&"]
    assert rows_of(page, "Found") == [["<b> & <i>", "X", "O", "90.0 %"]]


def test_numbers_are_drawn_as_points_of_given_and_predicted(tmp_path):
    metrics = {name: {"mean": 0.5, "std": 0.0, "values": [0.5, 0.5]} for name in
               ("spearman", "mean_squared_error")}  # fmt: skip
    records = of_numbers(("a", "1", 1.5), ("b", "2", 1.5), ("c", "4", 5.0))
    page = report_on(keep(finetuned(tmp_path / "run", SUMMARY | {"metrics": metrics}), records))
    points = [text for text in page.of("title") if text.startswith("given")]
    assert points == ["given 1, predicted 1.5", "given 2, predicted 1.5", "given 4, predicted 5"]
    assert rows_of(page, "Off by")[0] == ["c", "4", "5", "+1"]
    # The loss of numbers is their squared error, and drawn once.
    assert "Validation: Loss" not in page.of("b")
    assert "Validation: Mean squared error" in page.of("b")


def test_answers_are_measured_by_whether_there_is_one_and_how_long_it_is(tmp_path):
    records = of_questions(
        ("q", ["Nile"], "the Nile", 0.9),
        ("q", ["Rome"], "", 0.9),
        ("q", ["the house of my father"], "house of my mother", 0.9),
        ("q", [], "", 0.9),
        ("q", [], "Rome", 0.9),
    )
    run = keep(finetuned(tmp_path / "run", SUMMARY | {"task": "question-answering"}), records)
    assert rows_of(report_on(run), "Answered") == [
        ["All questions", "5", "40.0 %", "55.0 %", "60.0 %"],
        ["With an answer", "3", "33.3 %", "58.3 %", "66.7 %"],
        ["of one word", "2", "50.0 %", "50.0 %", "50.0 %"],
        ["of 4 to 7 words", "1", "0.0 %", "75.0 %", "100.0 %"],
        ["Without an answer", "2", "50.0 %", "50.0 %", "50.0 %"],
    ]


def test_a_run_that_keeps_no_answers_has_a_page_without_them(tmp_path):
    page = report_on(finetuned(tmp_path / "run", SUMMARY))
    assert "Curves" in page.of("h2")
    assert not {"Surest and wrong", "Where it errs"} & set(page.of("h2"))


def test_answers_that_cannot_be_read_are_left_out_and_counted(tmp_path):
    run = keep(finetuned(tmp_path / "run", SUMMARY), of_one_label(("text", "down", 0.9)))
    file = run / "validation_predictions.jsonl"
    file.write_bytes(b"{broken\n" + file.read_bytes())
    page = report_on(run)
    assert (
        "validation_predictions.jsonl: lines left out, as they could not be read: 1"
        in page.all_text()
    )
    assert len(rows_of(page, "Of the label")) == 1


# Several runs.


@pytest.fixture
def side_by_side(tmp_path) -> list[Path]:
    """Runs that start pre-trained, frozen and from scratch, each worse than the one before."""
    starts: dict[str, dict[str, Any]] = {
        "pretrained": {"encoder": "runs/mine"},
        "frozen": {"encoder": "runs/mine", "freeze": "encoder"},
        "scratch": {"encoder": "bert-mini"},
    }
    runs = []
    for place, (name, changed) in enumerate(starts.items()):
        metrics = {
            "accuracy": {"mean": 0.8 - place / 10, "std": 0.1, "values": [0.7, 0.9]},
            "mean_squared_error": {"mean": 2.0 + place, "std": 0.1, "values": [2, 2]},
        }
        failed = [4] if name == "scratch" else []
        classes = [{**CLASSES[0], "f1": 0.9 - place / 10}]
        summary = SUMMARY | {"metrics": metrics, "failed_seeds": failed, "classes": classes}
        runs.append(finetuned(tmp_path / name, summary, **changed))
    return runs


def test_runs_are_told_apart_by_how_they_start_and_the_best_is_marked(side_by_side, tmp_path):
    page = report_on(*side_by_side, out=tmp_path / "all.html")
    assert rows_of(page, "scratch")[:5] == [
        ["Start", "pre-trained", "pre-trained, frozen", "from scratch"],
        ["Failed seeds", "0 of 3", "0 of 3", "1 of 3"],
        ["Accuracy", "80.0 % ± 10.0 %", "70.0 % ± 10.0 %", "60.0 % ± 10.0 %"],
        ["Accuracy, constant answer", "55.0 %", "55.0 %", "55.0 %"],
        ["Mean squared error", "2.000 ± 0.100", "3.000 ± 0.100", "4.000 ± 0.100"],
    ]
    html = (tmp_path / "all.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert re.findall(r'<td class="best">([^<]*)', html) == [
        "80.0 % ± 10.0 %", "2.000 ± 0.100", "90.0 %",
    ]  # fmt: skip


def test_the_curves_of_runs_are_the_means_over_their_seeds(side_by_side, tmp_path):
    page = report_on(*side_by_side, out=tmp_path / "all.html")
    curves = [value for _, name, value in page.attributes if name == "data-label"]
    assert curves == ["pretrained", "frozen", "scratch"]
    assert "Validation: Accuracy" in page.of("b")


@pytest.mark.parametrize(
    ("validation", "more"),
    [("other", {}), ("b", {"validation_examples": 900}), ("b", {"chance": 0.6})],
)
def test_runs_on_different_data_are_not_ranked(validation, more, tmp_path):
    classes = {"classes": CLASSES}
    better = SUMMARY | {"metrics": {"accuracy": {"mean": 0.9, "std": 0.0, "values": [0.9]}}}
    runs = [
        finetuned(tmp_path / "one", SUMMARY | classes),
        finetuned(tmp_path / "two", better | classes | more, validation=validation),
    ]
    page = report_on(*runs, out=tmp_path / "all.html")
    assert "measured on different data, so they are not ranked" in page.all_text()
    assert [tag for tag, name, value in page.attributes if (name, value) == ("class", "best")] == []
    assert [tag for tag, _, _ in page.attributes if tag == "svg"] == []
    assert rows_of(page, "two")[0] == ["Validation data", "b", validation]


def test_runs_of_different_tasks_are_not_measured_against_each_other(tmp_path):
    texts = SUMMARY | {"classes": CLASSES}
    runs = [
        finetuned(tmp_path / "texts", texts),
        finetuned(tmp_path / "tags", texts | {"task": "token-classification"}),
    ]
    page = report_on(*runs, out=tmp_path / "all.html")
    headings = [text for text in page.of("h2") if text.startswith("Fine-tuning")]
    assert headings == ["Fine-tuning: sequence-classification", "Fine-tuning: token-classification"]
    assert {"F1 of each label", "F1 of each type"} <= set(page.of("b"))
    html = Path(write_report(runs, tmp_path / "all.html")["report"]).read_text(encoding="utf-8")
    assert 'class="best"' not in html
