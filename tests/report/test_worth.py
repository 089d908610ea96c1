"""What a report says of the encoder's worth."""

import pytest

from selfsup.report.worth import about_table, encoder_worth, model_table


def summary(difference: float, low: float, high: float, beside: str = "bag of words") -> dict:
    tuned = {"accuracy": 0.8, "f1": 0.79}
    models = [("fine-tuned encoder", tuned), (beside, {"accuracy": 0.75, "f1": 0.7})]
    return {
        "comparison": {
            "metric": "accuracy",
            "interval_method": "Wilson",
            "models": [
                {"name": name, "metrics": metrics, "interval": [0.7, 0.9]}
                for name, metrics in models
            ],
            "worth": {"beside": beside, "difference": difference, "interval": [low, high]},
        }
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            summary(0.031, 0.012, 0.05),
            "The fine-tuned encoder is 3.1 points above the best model without one (bag of words; "
            "95 %: 1.2 to 5.0).",
        ),
        (
            summary(0.01, -0.02, 0.04),
            "The fine-tuned encoder is 1.0 point above the best model without one (bag of words; "
            "95 %: −2.0 to 4.0), which may be chance.",
        ),
        (
            summary(-0.02, -0.05, 0.01),
            "The fine-tuned encoder is not above the best model without one (bag of words): the "
            "words alone carry this task.",
        ),
        (
            summary(0.0, 0.0, 0.0, "bag of characters (1–4), of 20,000 examples"),
            "The fine-tuned encoder is not above the best model without one (bag of characters "
            "(1–4), of 20,000 examples): the characters alone carry this task.",
        ),
        (
            summary(0.0, 0.0, 0.0, "constant answer"),
            "The fine-tuned encoder is not above the best model without one (constant answer): it "
            "learned nothing of use here.",
        ),
        ({}, ""),
    ],
)
def test_one_sentence_says_what_the_encoder_is_worth(found, expected):
    assert encoder_worth(found) == expected


def test_a_difference_of_correlations_is_in_their_own_unit():
    found = summary(0.031, 0.012, 0.05)
    found["comparison"]["metric"] = "spearman"
    assert encoder_worth(found).startswith("The fine-tuned encoder is 0.031 above")


def test_the_table_has_a_row_for_each_model_and_means_over_seeds():
    found = summary(0.031, 0.012, 0.05)
    found["metrics"] = {"accuracy": {"mean": 0.78, "std": 0.02, "values": [0.76, 0.8]}}
    head, rows = model_table(found)
    shown = [[cell.replace("\u00a0", " ") for cell in row] for row in rows]
    assert head == ["Model", "Accuracy", "95 % interval", "F1"]
    assert shown == [
        ["fine-tuned encoder", "78.0 % ± 2.0 %", "70.0 % to 90.0 %", "79.0 %"],
        ["bag of words", "75.0 %", "70.0 % to 90.0 %", "70.0 %"],
    ]
    assert "Wilson" in about_table(found)


def test_without_a_comparison_there_is_no_table():
    assert model_table({}) == ([], [])
    assert about_table({}) == ""
