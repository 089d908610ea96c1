"""Supervised contrast is equation 2 of Khosla et al. 2020."""

import math

import pytest
import torch
from torch.nn import functional as F

from selfsup.tasks.classification.contrast import TEMPERATURE, supervised_contrast


def of_the_paper(vectors: torch.Tensor, labels: list[int]) -> float:
    """The equation, term by term; the paper's sum over anchors becomes a mean."""
    z = F.normalize(vectors, dim=-1)
    losses = []
    for i, label in enumerate(labels):
        others = [a for a in range(len(labels)) if a != i]
        alike = [p for p in others if labels[p] == label]
        if not alike:
            continue
        total = sum(math.exp(z[i] @ z[a] / TEMPERATURE) for a in others)
        terms = [math.log(math.exp(z[i] @ z[p] / TEMPERATURE) / total) for p in alike]
        losses.append(-sum(terms) / len(alike))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("labels", [[0, 1, 0, 1], [2, 2, 2, 0, 1], [0, 0, 0]])
def test_it_is_the_papers(labels: list[int]):
    vectors = torch.randn(len(labels), 5, generator=torch.manual_seed(0), dtype=torch.float64)
    found = supervised_contrast(vectors, torch.tensor(labels))
    assert float(found) == pytest.approx(of_the_paper(vectors, labels), rel=1e-5)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0]])
def test_without_two_texts_of_one_label_there_is_nothing_to_learn(labels: list[int]):
    vectors = torch.randn(len(labels), 5, requires_grad=True)
    loss = supervised_contrast(vectors, torch.tensor(labels))
    loss.backward()
    assert float(loss) == 0
    assert vectors.grad is not None
    assert not vectors.grad.any()


def test_its_gradient_brings_alike_texts_together():
    vectors = torch.randn(8, 5, generator=torch.manual_seed(1)).requires_grad_()
    labels = torch.tensor([0, 1] * 4)
    optimizer = torch.optim.SGD([vectors], lr=2.0)
    for _ in range(300):
        optimizer.zero_grad()
        supervised_contrast(vectors, labels).backward()
        optimizer.step()
    unit = F.normalize(vectors.detach(), dim=-1)
    similarity = unit @ unit.T
    apart = similarity[labels[:, None] != labels].max()
    assert similarity[labels[:, None] == labels].min() > apart + 0.5
