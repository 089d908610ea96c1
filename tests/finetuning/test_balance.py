"""Weights of the loss and balanced epochs, against scikit-learn and PyTorch."""

import json
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from selfsup.errors import UserError
from selfsup.finetuning.balance import balanced_weights, draw_equally, strata_of
from selfsup.finetuning.data import EpochBatches
from selfsup.finetuning.run import finetune
from selfsup.tasks.models import cross_entropy_loss
from tests.toy_tasks import (
    toy_examples,
    toy_settings,
    write_toy_conll,
    write_toy_model,
)

settings = partial(toy_settings, epochs=2, baselines=False)


def test_balanced_weights_are_scikit_learns():
    labels = np.array([0] * 7 + [1] * 2 + [3])
    weights = balanced_weights(np.bincount(labels, minlength=4), 10, several=False)
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    np.testing.assert_allclose(weights[[0, 1, 3]], expected)
    assert weights[2] == 1  # it has no example


def test_balanced_weights_of_several_labels_make_presence_count_as_much_as_absence():
    counts, total = np.array([2, 5, 0, 10]), 10
    weights = balanced_weights(counts, total, several=True)
    np.testing.assert_allclose(weights[:2] * counts[:2], total - counts[:2])
    np.testing.assert_array_equal(weights[2:], 1)


def test_a_weighted_loss_counts_an_example_the_same_in_each_batch():
    random = torch.Generator().manual_seed(1)
    scores, labels = torch.randn(12, 3, generator=random), torch.arange(12) % 3
    weights = torch.tensor([0.5, 2.0, 1.0])
    whole, right, count = cross_entropy_loss("x", scores, labels, weights)["x"]
    parts = [
        cross_entropy_loss("x", scores[part], labels[part], weights)["x"][0]
        for part in (labels == 0, labels != 0)
    ]
    assert float(whole) == pytest.approx(float((parts[0] * 4 + parts[1] * 8) / 12))
    each = nn.functional.cross_entropy(scores, labels, reduction="none")
    assert float(whole) == pytest.approx(float((each * weights[labels]).mean()))
    assert (int(right), count) == (int((scores.argmax(1) == labels).sum()), 12)


def test_the_minimum_of_the_weighted_loss_is_scikit_learns():
    random = np.random.default_rng(3)
    x, y = random.normal(size=(60, 2)), (random.random(60) > 0.8).astype(np.int64)
    x[:, 0] += y
    weights = balanced_weights(np.bincount(y), 60, several=False)
    peer = LogisticRegression(C=1e6, class_weight="balanced", tol=1e-8).fit(x, y)
    layer = nn.Linear(2, 2).double()
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def objective() -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(
            layer(inputs), labels, torch.from_numpy(weights), reduction="sum"
        ) / len(labels)
        loss.backward()
        return float(loss.detach())

    optimizer.step(objective)
    found = (layer.weight[1] - layer.weight[0]).detach().numpy()
    np.testing.assert_allclose(found, peer.coef_[0], rtol=1e-2)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(0, 50), st.integers(0, 9))
def test_an_epoch_draws_strata_and_their_members_equally(sizes, count, epoch):
    ends = np.cumsum(sizes)
    strata = [np.arange(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    drawn = draw_equally(strata, count, 1, epoch)
    assert len(drawn) == count
    times = np.bincount(drawn, minlength=int(ends[-1]))
    of_strata = [times[members].sum() for members in strata]
    assert max(of_strata) - min(of_strata) <= 1
    for members in strata:
        assert times[members].max() - times[members].min() <= 1


def test_the_draw_is_a_function_of_seed_and_epoch():
    strata = [np.arange(30), np.arange(30, 33)]
    first = draw_equally(strata, 20, 1, 4)
    np.testing.assert_array_equal(first, draw_equally(strata, 20, 1, 4))
    assert set(first) != set(draw_equally(strata, 20, 1, 5))
    assert set(first) != set(draw_equally(strata, 20, 2, 4))


def test_the_strata_of_several_labels_are_each_label_and_no_label():
    true = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    assert [each.tolist() for each in strata_of(true, 3)] == [[0, 1], [1], [2]]


class _Lengths:
    """Units whose batches are their indices."""

    def __init__(self, lengths: np.ndarray) -> None:
        self.lengths = lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        return indices

    def windows_of(self, indices: np.ndarray) -> np.ndarray:
        return indices


def test_a_balanced_epoch_has_as_many_steps_and_its_own_examples():
    units = _Lengths(np.arange(50) % 7 + 1)
    strata = [np.arange(45), np.arange(45, 50)]
    plain = EpochBatches(units, 8, 0)
    batches = EpochBatches(units, 8, 0, strata)
    steps = batches.steps_per_epoch
    assert steps == plain.steps_per_epoch
    drawn = np.concatenate([batches[step] for step in range(steps)])
    assert (drawn >= 45).sum() == 25
    # Any batch is found by its number alone, as after an interruption.
    np.testing.assert_array_equal(EpochBatches(units, 8, 0, strata)[steps + 2], batches[steps + 2])


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """One label in twenty is "up", and in the validation examples half of them."""
    folder = tmp_path_factory.mktemp("files")
    examples = toy_examples(400, seed=1)
    rare = [each for number, each in enumerate(examples) if number % 2 or number % 20 == 0]
    for name, part in (("train", rare), ("dev", toy_examples(60, seed=2))):
        lines = ["label\tsentence", *map("\t".join, part)]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    write_toy_conll(folder / "train.conll", 60, seed=1)
    write_toy_conll(folder / "dev.conll", 30, seed=2)
    write_toy_model(folder / "encoder")
    return folder


def mean_probability_of_up(files: Path, out: Path, **flags: Any) -> float:
    finetune(settings(files, out, epochs=1, **flags))
    lines = (out / "validation_predictions.jsonl").read_text().splitlines()
    return fmean(json.loads(line)["probabilities"]["up"] for line in lines)


def test_a_rare_label_is_more_probable_with_weights_and_with_balanced_epochs(files, tmp_path):
    (tmp_path / "weights.json").write_text('{"up": 10, "down": 1}')
    plain = mean_probability_of_up(files, tmp_path / "plain")
    assert plain < 0.3
    for name, flags in (
        ("sampled", {"sampling": "balanced"}),
        ("balanced", {"class_weights": "balanced"}),
        ("given", {"class_weights": str(tmp_path / "weights.json")}),
    ):
        assert mean_probability_of_up(files, tmp_path / name, **flags) > plain + 0.15


def test_tags_can_be_weighted_and_a_frozen_encoders_head_is_then_trained(files, tmp_path):
    run = tmp_path / "run"
    finetune(
        settings(
            files, run, task="token-classification", class_weights="balanced", freeze="encoder",
            epochs=None, learning_rate=None,
        )
    )  # fmt: skip
    assert "head: trained" in (run / "run.yaml").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            {"class_weights": "balanced", "sampling": "balanced"},
            "make up for the same frequencies twice",
        ),
        ({"class_weights": "balanced", "head": "fitted"}, "is for a head that is trained"),
        ({"class_weights": "none.json"}, "none.json: cannot be read"),
        ({"sampling": "balanced", "task": "token-classification"}, "--sampling is for"),
    ],
)
def test_what_cannot_be_balanced_is_refused_before_anything_is_written(
    files, tmp_path, flags, message
):
    with pytest.raises(UserError, match=message):
        finetune(settings(files, tmp_path / "run", **flags))
    assert not (tmp_path / "run").exists()


def test_numbers_have_no_weights(files, tmp_path):
    text = (files / "train.tsv").read_text()
    numbers = text.replace("up\t", "1.5\t").replace("down\t", "0.2\t")
    (tmp_path / "train.tsv").write_text(numbers)
    (tmp_path / "dev.tsv").write_text(numbers)
    flags = {"encoder": str(files / "encoder"), "label_type": "number"}
    with pytest.raises(UserError, match="is for labels, not for numbers"):
        finetune(settings(tmp_path, tmp_path / "run", class_weights="balanced", **flags))
