"""Batches are functions of (seed, step), and the model's losses are those of `transformers`."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertForPreTraining

from selfsup.encoder import packing
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.layers import initialize
from selfsup.encoder.packing import Packing
from selfsup.errors import UserError
from selfsup.pretraining.text import masked_lm
from selfsup.pretraining.text.batches import TextBatch, TextBatches, TextData
from selfsup.pretraining.text.masking import Masking
from selfsup.pretraining.text.model import TextPretrainingModel, save_pretraining, text_objectives
from selfsup.pretraining.text.sequences import split_held_out
from tests.pretraining.text.corpus_of import (
    FIRST_TOKEN,
    SPECIAL,
    Documents,
    corpus_of,
    vocab_size_of,
)
from tests.tokenizer_folder import write_tokenizer

DOCUMENTS: Documents = [[4, 7, 2, 9], [3, 3, 8], [5] * 12, [6], [2, 11, 4] * 5]
BOTH = ("mlm", "nsp")


def masking_for(documents: Documents = DOCUMENTS, unit: str = "token") -> Masking:
    vocab_size = vocab_size_of(documents)
    is_continuation = np.arange(vocab_size) % 3 == 2
    return Masking(0.15, unit, SPECIAL, vocab_size, is_continuation)


def batches_of(
    objectives: tuple[str, ...] = BOTH,
    batch_size: int = 3,
    seed: int = 0,
    shards: int = 1,
    unit: str = "token",
) -> TextBatches:
    corpus = corpus_of(DOCUMENTS, shards)
    documents = np.arange(len(DOCUMENTS))
    masking = masking_for(unit=unit)
    data = TextData(corpus, documents, masking, text_objectives(objectives), 24)
    return TextBatches(data, batch_size, seed)


def tensors_of(batch: TextBatch) -> list[Tensor]:
    return [
        batch.input_ids,
        batch.token_type_ids,
        batch.packing.cu_seqlens,
        batch.masked_rows,
        *(batch.labels[name] for name in sorted(batch.labels)),
    ]


def same(a: TextBatch, b: TextBatch) -> bool:
    return all(map(torch.equal, tensors_of(a), tensors_of(b)))


def examples_of(batch: TextBatch) -> list[tuple]:
    """Each sequence with all that belongs to it, whatever batch it is in."""
    examples = []
    ends = batch.packing.cu_seqlens.tolist()
    for place, (begin, end) in enumerate(itertools.pairwise(ends)):
        here = (batch.masked_rows >= begin) & (batch.masked_rows < end)
        label = batch.labels.get("nsp")
        examples.append((
            tuple(batch.input_ids[begin:end].tolist()),
            tuple(batch.token_type_ids[begin:end].tolist()),
            tuple((batch.masked_rows[here] - begin).tolist()),
            tuple(batch.labels["mlm"][here].tolist()),
            None if label is None else int(label[place]),
        ))  # fmt: skip
    return examples


def first_epoch(batches: TextBatches) -> list[tuple]:
    """The examples of all batches until the first epoch ends."""
    batches[0]
    steps = batches.end_step
    return [example for step in range(steps) for example in examples_of(batches[step])]


@pytest.mark.parametrize("objectives", [BOTH, ("mlm",)])
def test_steps_can_be_asked_for_in_any_order(objectives):
    in_order = batches_of(objectives)
    expected = [in_order[step] for step in range(60)]
    assert in_order.epoch >= 2  # several epochs have been passed through
    any_order = batches_of(objectives)
    for step in np.random.default_rng(0).permutation(60).tolist():
        assert same(any_order[step], expected[step]), step
    for step in reversed(range(60)):
        assert same(any_order[step], expected[step]), step
    assert same(batches_of(objectives)[59], expected[59])


@pytest.mark.parametrize("unit", ["token", "whole-word", "span"])
@pytest.mark.parametrize("objectives", [BOTH, ("mlm",)])
def test_an_example_does_not_depend_on_the_batch_size(objectives, unit):
    one, several = (first_epoch(batches_of(objectives, size, unit=unit)) for size in (1, 4))
    assert one == several


@pytest.mark.parametrize("objectives", [BOTH, ("mlm",)])
def test_an_epoch_does_not_depend_on_the_number_of_shards(objectives):
    one, several = (first_epoch(batches_of(objectives, shards=shards)) for shards in (1, 4))
    assert one == several


@pytest.mark.parametrize("objectives", [BOTH, ("mlm",)])
def test_every_token_of_the_corpus_is_in_every_epoch(objectives):
    batches = batches_of(objectives)
    step = 0
    for epoch in range(3):
        seen: set[int] = set()
        while (batch := batches[step]) and batches.epoch == epoch:
            ids = batch.input_ids.clone()
            ids[batch.masked_rows] = batch.labels["mlm"]
            seen |= set(ids.tolist())
            step += 1
        assert seen >= set(range(FIRST_TOKEN, vocab_size_of(DOCUMENTS)))


def test_epochs_and_seeds_differ_in_order_pairs_and_masks():
    first = first_epoch(batches_of(seed=0))
    assert first == first_epoch(batches_of(seed=0))
    assert sorted(first) != sorted(first_epoch(batches_of(seed=1)))
    batches = batches_of(seed=0)
    batches[0]
    steps = batches.end_step
    second = [example for step in range(steps, steps * 2) for example in examples_of(batches[step])]
    assert not set(first) & set(second)


def test_every_epoch_and_seed_has_an_order_of_its_own():
    documents = [[5]] * 20  # each is one sequence, the same in every epoch
    corpus, masking = corpus_of(documents), masking_for(documents)

    def order(seed: int, epoch: int) -> list[int]:
        data = TextData(corpus, np.arange(20), masking, text_objectives(["mlm"]), 24)
        batches = TextBatches(data, 1, seed)
        found = []
        for step in range(20 * epoch, 20 * (epoch + 1)):
            batch = batches[step]
            ids = batch.input_ids.clone()
            ids[batch.masked_rows] = batch.labels["mlm"]
            found.append(int(ids[1]))
        return found

    orders = [order(0, 0), order(0, 1), order(1, 0)]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert all(a != b for a, b in itertools.combinations([*orders, sorted(orders[0])], 2))


@pytest.mark.parametrize("batch_size", [4, 5, 7, 100])
def test_an_epochs_batches_are_of_like_size(batch_size: int):
    batches = batches_of(batch_size=batch_size)
    batches[0]
    examples, steps = len(batches._plan), batches.end_step
    sizes = [len(examples_of(batches[step])) for step in range(steps)]
    assert sum(sizes) == examples
    assert steps == -(-examples // batch_size)
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= batch_size


@pytest.mark.parametrize("objectives", [BOTH, ("mlm",)])
def test_documents_held_out_are_never_trained_on(objectives):
    documents = [[3, 4, 5]] * 40
    corpus = corpus_of(documents, shards=3)
    training, held_out = split_held_out(corpus, 0.2)
    data = TextData(corpus, training, masking_for(documents), text_objectives(objectives), 24)
    batches = TextBatches(data, 8, 0)
    tokens_of_held_out = {
        FIRST_TOKEN + 12 * document + place for document in held_out for place in range(12)
    }
    random_replacements = 0
    for step in range(100):
        batch = batches[step]
        ids = batch.input_ids.clone()
        random_replacements += len(tokens_of_held_out & set(ids.tolist()))
        ids[batch.masked_rows] = batch.labels["mlm"]
        assert not tokens_of_held_out & set(ids.tolist())
    assert random_replacements  # the test would have seen one


@pytest.mark.parametrize(("objectives", "has_pairs"), [(BOTH, True), (("mlm",), False)])
def test_pairs_are_made_only_for_next_sentence_prediction(objectives, has_pairs):
    batch = batches_of(objectives)[0]
    assert ("nsp" in batch.labels) == has_pairs
    assert bool(batch.token_type_ids.any()) == has_pairs
    assert batch.token_count == len(batch.input_ids) == int(batch.packing.cu_seqlens[-1])


def test_one_document_serves_masked_lm_but_not_next_sentence_prediction():
    corpus = corpus_of([[4, 5, 6]])
    masking = masking_for([[4, 5, 6]])
    data = TextData(corpus, np.arange(1), masking, text_objectives(["mlm"]), 24)
    TextBatches(data, 2, 0)[0]
    with pytest.raises(UserError, match="at least two documents"):
        TextBatches(dataclasses.replace(data, objectives=text_objectives(BOTH)), 2, 0)[0]


CONFIG = EncoderConfig(
    vocab_size=vocab_size_of(DOCUMENTS),
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=24,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)


def padded(batch: TextBatch) -> dict[str, Tensor]:
    """A batch as `transformers` takes it."""
    lengths = batch.packing.cu_seqlens.diff().tolist()
    labels = torch.full_like(batch.input_ids, -100)
    labels[batch.masked_rows] = batch.labels["mlm"]

    def pad(x: Tensor, value: int = 0) -> Tensor:
        rows = list(x.split(lengths))
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

    return {
        "input_ids": pad(batch.input_ids),
        "token_type_ids": pad(batch.token_type_ids),
        "attention_mask": pad(torch.ones_like(batch.input_ids)),
        "labels": pad(labels, -100),
        "next_sentence_label": batch.labels["nsp"],
    }


def test_losses_and_gradients_are_those_of_transformers(tmp_path):
    model = TextPretrainingModel(BertEncoder(CONFIG), BOTH)
    initialize(model, 0.2, seed=0)
    save_pretraining(tmp_path / "model", model, write_tokenizer(tmp_path), "")
    peer = BertForPreTraining.from_pretrained(tmp_path / "model")
    batch = batches_of(batch_size=8)[0]
    losses = model(batch)
    (losses["mlm"][0] + losses["nsp"][0]).backward()
    output = peer(**padded(batch))
    output.loss.backward()
    total = losses["mlm"][0] + losses["nsp"][0]
    torch.testing.assert_close(total, output.loss, atol=1e-5, rtol=1e-5)
    theirs = dict(peer.named_parameters())
    words = model.encoder.embeddings.word.weight.grad
    assert words is not None
    torch.testing.assert_close(
        words, theirs["bert.embeddings.word_embeddings.weight"].grad, atol=1e-5, rtol=1e-4
    )
    pooler = model.encoder.pooler.weight.grad
    assert pooler is not None
    torch.testing.assert_close(
        pooler, theirs["bert.pooler.dense.weight"].grad, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("objectives", [BOTH, ("mlm",), ("nsp",)])
def test_floating_point_operations_are_those_that_torch_counts_without_padding(
    objectives, monkeypatch
):
    monkeypatch.setattr(masked_lm, "pad_rows", lambda x: x)
    monkeypatch.setattr(Packing, "padding_rows", lambda packing: 0)
    monkeypatch.setattr(packing, "_LENGTH_UNIT", 1)
    model = TextPretrainingModel(BertEncoder(CONFIG), objectives)
    # Of a single sequence no padding is computed. The pooler and its two scores are left out.
    batch = batches_of(objectives, batch_size=1)[0]
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        model(batch)
    width = CONFIG.hidden_size
    left_out = 2 * width * width + (2 * width * 2 if "nsp" in objectives else 0)
    assert model.training_flops(batch) == 3 * (counted.get_total_flops() - left_out)


def test_right_answers_are_counted_at_the_predictions_made():
    model = TextPretrainingModel(BertEncoder(CONFIG), BOTH).eval()
    initialize(model, 0.2, seed=0)
    batch = batches_of(batch_size=8)[0]
    with torch.no_grad():
        encoded = model.encoder(batch.input_ids, batch.token_type_ids, batch.packing)
        guesses = model.heads["mlm"](encoded.last_hidden_state[batch.masked_rows]).argmax(-1)
        # Make every other guess the right one.
        labels = guesses.clone()
        labels[::2] = (labels[::2] + 1) % CONFIG.vocab_size
        results = model(dataclasses.replace(batch, labels=batch.labels | {"mlm": labels}))
    _, right, count = results["mlm"]
    assert (int(right), count) == (len(labels) // 2, len(labels))
    assert results["nsp"][2] == len(examples_of(batch))


@pytest.mark.parametrize("objectives", [BOTH, ("mlm",), ("nsp",)])
def test_a_model_has_the_heads_of_its_objectives_and_no_others(objectives):
    model = TextPretrainingModel(BertEncoder(CONFIG), objectives)
    assert set(model.heads) == set(objectives)
    assert set(model(batches_of()[0])) == set(objectives)
