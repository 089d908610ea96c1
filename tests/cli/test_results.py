"""What a command prints for a person when it has ended."""

import re

import pytest

from selfsup.cli import results

SCORE = {"mean": 0.8123, "std": 0.0123, "values": [0.80, 0.82]}


def printed(capsys) -> str:
    return capsys.readouterr().out.replace("\u00a0", " ")


def test_a_demo_ends_with_its_table_masks_report_and_what_to_try_next(capsys):
    results.show_demo(
        {
            "pretrained": {"accuracy": SCORE},
            "frozen": {"accuracy": {"mean": 0.5, "std": 0.01, "values": [0.5, 0.5]}},
            "scratch": {"accuracy": {"mean": 0.6, "std": 0.01, "values": [0.6, 0.6]}},
            "fill_mask": [
                {
                    "text": "The [MASK] of a list.",
                    "candidates": [{"token": "length", "probability": 0.25}],
                }
            ],
            "report": "runs/demo/report.html",
        }
    )
    text = printed(capsys)
    assert "pre-trained          81.2 % ± 1.2 %" in text
    assert "Pre-training adds 21.2 points" in text
    assert "The [MASK] of a list.\n    length 25.0 %" in text
    assert "Report: runs/demo/report.html" in text
    assert "selfsup pretrain my-texts/" in text


def test_pretraining_says_its_measurements_and_leaves_out_what_there_is_none_of(capsys):
    results.show_pretraining({"mlm_loss": 5.4321, "steps": 12000, "nsp_accuracy": None})
    text = printed(capsys)
    assert "Held-out loss  5.432 nats per masked token" in text
    assert "Steps          12,000" in text
    assert "Next" not in text


def test_a_loss_that_is_no_number_is_left_out(capsys):
    results.show_pretraining({"mlm_loss": float("nan"), "steps": 3})
    assert "nan" not in printed(capsys)


def test_finetuning_says_mean_and_standard_deviation_in_the_metrics_own_unit(capsys):
    results.show_finetuning(
        {"metrics": {"accuracy": SCORE, "matthews_correlation": 0.61234}, "out": "runs/task"}
    )
    text = printed(capsys)
    assert "Accuracy              81.2 % ± 1.2 %" in text
    assert "Matthews correlation  0.612" in text
    assert "selfsup report runs/task" in text


def test_the_verdict_stands_above_the_metrics_and_their_baselines(capsys):
    results.show_finetuning(
        {
            "selection_metric": "accuracy", "chance": 0.5, "validation_examples": 40, "seeds": [0],
            "failed_seeds": [0], "best_seed": 0, "best_epochs": {"0": 1}, "epochs": 6,
            "metrics": {"accuracy": {"mean": 0.475, "std": 0.0, "values": [0.475]}, "f1": 0.4},
            "baseline": {"accuracy": 0.5},
        }
    )  # fmt: skip
    verdict, *table = [line for line in printed(capsys).splitlines() if line]
    assert verdict == (
        "1 of 1 seeds (seed 0) did no better than a constant answer. Accuracy is 47.5 % on 40 "
        "validation examples; a constant answer gets 50.0 %."
    )
    rows = [re.split(r"  +", line.strip()) for line in table[:3]]
    assert rows == [
        ["Metric", "Value", "Baseline (constant answer)"],
        ["Accuracy", "47.5 %", "50.0 %"],
        ["F1", "40.0 %", "–"],
    ]


def test_a_gain_that_chance_explains_is_said_to_be_none_to_rely_on(capsys):
    of_run = {"selection_metric": "accuracy", "chance": 0.5, "metrics": {"accuracy": 0.55}}
    note = "the difference may be chance"
    results.show_finetuning({**of_run, "validation_examples": 100})
    assert note in printed(capsys)
    results.show_finetuning({**of_run, "validation_examples": 1000})
    assert note not in printed(capsys)


def test_finetuning_says_what_was_kept_and_which_seeds_failed(capsys):
    of_run = {"selection_metric": "accuracy", "chance": 0.65, "epochs": 6, "seeds": [0, 1, 2]}
    of_run |= {"best_seed": 2, "best_epochs": {"0": 1, "1": 4, "2": 5}}
    results.show_finetuning({**of_run, "failed_seeds": [0, 1]})
    text = printed(capsys)
    assert "Kept  seed 2, epoch 5 of 6" in text
    assert "2 of 3 seeds (seeds 0 and 1) did no better than a constant answer." in text
    results.show_finetuning({**of_run, "seeds": [2], "failed_seeds": []})
    text = printed(capsys)
    assert "  epoch 5 of 6" in text
    assert "constant answer" not in text


def test_a_prediction_comes_with_its_probabilities_the_likeliest_first(capsys):
    results.show_prediction({"label": "good", "probabilities": {"bad": 0.25, "good": 0.75}})
    lines = [line.split() for line in printed(capsys).splitlines() if line]
    assert lines[0] == ["good"]
    assert lines[2:] == [["good", "75.0", "%"], ["bad", "25.0", "%"]]


def test_entities_come_with_their_places_or_their_counts(capsys):
    entity = {"text": "Angela Merkel", "label": "PER", "start": 0, "end": 13, "probability": 0.75}
    results.show_prediction({"text": "Angela Merkel spoke.", "entities": [entity]})
    assert "Angela Merkel  PER   0–13        75.0 %" in printed(capsys)
    results.show_prediction({"text": "Nobody spoke.", "entities": []})
    assert printed(capsys) == "No entities\n"
    results.show_prediction({"examples": 9, "entities": {"LOC": 0, "PER": 1234}})
    text = printed(capsys)
    assert "PER   1,234" in text
    assert "No entities" not in text


def test_answers_to_a_question_come_with_their_places_the_likeliest_first(capsys):
    results.show_prediction(
        {
            "answer": "1883",
            "n_best": [
                {"answer": "1883", "start": 21, "end": 25, "probability": 0.75},
                {"answer": "", "start": None, "end": None, "probability": 0.125},
            ],
        }
    )
    text = printed(capsys)
    assert "1883         21–25       75.0 %" in text
    assert "(no answer)              12.5 %" in text


def test_metrics_of_answers_are_shares(capsys):
    results.show_evaluation({"metrics": {"exact_match": 0.5, "f1": 0.625, "no_answer_f1": 0.25}})
    text = printed(capsys)
    assert "Exact match   50.0 %" in text
    assert "F1            62.5 %" in text
    assert "No answer F1  25.0 %" in text


def test_several_labels_are_named_with_their_probabilities(capsys):
    result = {"labels": ["warm", "funny"], "probabilities": {"warm": 0.75, "dull": 0.25}}
    results.show_prediction(result)
    assert "Labels: warm, funny" in (text := printed(capsys))
    assert "dull   25.0 %" in text
    results.show_prediction({"labels": [], "probabilities": {"warm": 0.25}})
    assert "No label" in printed(capsys)


def test_numbers_predicted_for_a_file_are_summed_up(capsys):
    values = {"mean": 2.5, "min": 1.0, "max": 4.0}
    results.show_prediction({"examples": 3, "values": values, "out": "answers.jsonl"})
    assert "Mean value  2.5" in printed(capsys)


def test_a_predicted_number_is_printed_as_one(capsys):
    results.show_prediction({"value": 3.14159})
    assert printed(capsys) == "3.142\n"


def test_filled_masks_are_numbered_where_there_are_several_and_brackets_are_kept(capsys):
    mask = {"candidates": [{"token": "[UNK]", "probability": 0.5}]}
    results.show_filled_masks({"masks": [mask]})
    assert "[MASK] 1" not in (single := printed(capsys))
    assert "[UNK]  50.0 %" in single
    results.show_filled_masks({"masks": [mask, mask]})
    assert "[MASK] 2 of 2" in printed(capsys)


def test_prepared_shards_say_what_was_dropped(capsys):
    results.show_shards({"documents": 3381, "duplicate_documents": 1, "out": "shards"})
    text = printed(capsys)
    assert "3,381" in text
    assert "Duplicate documents dropped  1" in text
    assert "selfsup pretrain shards" in text


def test_the_doctor_says_what_is_wrong_with_the_fix_or_that_nothing_is(capsys):
    results.show_diagnosis({"problems": [{"what": "a shard is cut off", "fix": "prepare again"}]})
    assert "a shard is cut off  prepare again" in printed(capsys)
    counts = {"words": 1234, "tag_scheme": "BIO", "entities": {"PER": 1000, "LOC": 200}}
    results.show_diagnosis({"path": "a.conll", "counts": counts})
    said = " ".join(printed(capsys).split())
    assert "Words 1,234 Tag scheme BIO Entities 1,200 (PER: 1,000; LOC: 200)" in said
    results.show_diagnosis({"examined": ["rows", "labels"], "problems": []})
    assert printed(capsys) == "Examined: rows, labels. No problem was found in these.\n"


@pytest.mark.parametrize(
    "show",
    results.SHOW.values(),
)
def test_nothing_printed_to_a_pipe_has_colours(show, capsys):
    show({"report": "r", "out": "o", "metrics": {"accuracy": SCORE}, "mlm_loss": 1.0})
    assert "\x1b" not in capsys.readouterr().out
