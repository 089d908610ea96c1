"""An embedding of only the rows in use learns what the whole embedding would."""

import torch
from torch import nn
from torch.nn import functional as F

from selfsup.finetuning.compact_embedding import CompactEmbedding, compact_embedding

VOCABULARY, WIDTH = 50, 4
ROWS = torch.tensor([3, 7, 8, 40])
IDS = torch.tensor([[3, 40, 3], [8, 7, 7]])


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.word = nn.Embedding(VOCABULARY, WIDTH)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.word(ids).tanh())


def train(model: Model, weight_decay: float = 0.0) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=weight_decay)
    for _ in range(5):
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(IDS).flatten(0, 1), torch.tensor([0, 1, 0, 1, 1, 0])).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()


def test_learns_what_the_whole_embedding_learns() -> None:
    whole, part = Model(), Model()
    train(whole)
    with compact_embedding(part, ROWS):
        train(part)
    torch.testing.assert_close(part.word.weight, whole.word.weight, rtol=0, atol=1e-6)
    assert not torch.equal(part.word.weight[ROWS], Model().word.weight[ROWS])


def test_only_the_rows_in_use_are_parameters() -> None:
    model = Model()
    with compact_embedding(model, ROWS):
        assert dict(model.named_parameters())["word.weight"].shape == (len(ROWS), WIDTH)
    assert dict(model.named_parameters())["word.weight"].shape == (VOCABULARY, WIDTH)


def test_other_rows_stay_as_they_were_whatever_the_weight_decay() -> None:
    model = Model()
    with compact_embedding(model, ROWS):
        train(model, weight_decay=0.5)
    others = [row for row in range(VOCABULARY) if row not in ROWS.tolist()]
    assert torch.equal(model.word.weight[others], Model().word.weight[others])


def test_evaluation_may_ask_for_any_row_and_sees_what_was_learned() -> None:
    model = Model()
    with compact_embedding(model, ROWS):
        train(model)
        learned = model.word.weight.detach().clone()
        model.eval()
        table = model.word(torch.arange(VOCABULARY))
        assert torch.equal(table[ROWS], learned)
        assert torch.equal(table[0], Model().word.weight[0])


def test_weights_that_are_put_back_are_kept() -> None:
    """The best epoch's weights are copied into the parameters after the last one."""
    model = Model()
    with compact_embedding(model, ROWS):
        best = model.word.weight.detach().clone()
        train(model)
        model.eval()
        with torch.no_grad():
            model.word.weight.copy_(best)
    assert torch.equal(model.word.weight, Model().word.weight)


def test_nearly_all_rows_in_use_change_nothing() -> None:
    model = Model()
    with compact_embedding(model, torch.arange(VOCABULARY - 1)):
        assert not isinstance(model.word, CompactEmbedding)
