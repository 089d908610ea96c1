"""The start of small encoders: heads that see their neighbours, in what stays a BERT."""

from typing import cast

import numpy as np
import pytest
import torch
from transformers import BertModel

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import bert_config
from selfsup.encoder.layers import initialize
from selfsup.pretraining.text.model import TextPretrainingModel, save_pretraining
from selfsup.pretraining.text.structured_start import start_structured, word_dimensions
from tests.tokenizer_folder import write_tokenizer

VOCAB, LENGTH = 400, 60
SPECIAL = np.arange(5)
CLS, SEP = 2, 3


def started(name: str, seed: int = 1) -> TextPretrainingModel:
    """A model of that size with random word vectors and token counts that fall like Zipf's."""
    model = TextPretrainingModel(BertEncoder(bert_config(name, VOCAB)), ("mlm", "nsp"))
    initialize(model, 0.02, seed)
    random = np.random.default_rng(7)
    vectors = random.standard_normal(
        (VOCAB, word_dimensions(cast(BertEncoder, model.encoder)))
    ).astype(np.float32)
    counts = (100_000 / np.arange(1, VOCAB + 1)).astype(np.int64)
    head = model.heads["mlm"]
    start_structured(model.encoder, head, vectors, counts, SPECIAL, seed)  # type: ignore[arg-type]
    return model.eval()


@pytest.fixture(scope="module", params=["bert-tiny", "bert-mini", "bert-small"])
def attention(request, tmp_path_factory) -> tuple[str, list[np.ndarray]]:
    """Each layer's attention over two segments of random tokens [H, L, L], by transformers."""
    folder = tmp_path_factory.mktemp(request.param)
    save_pretraining(folder, started(request.param), write_tokenizer(folder / "tokenizer"), "# X\n")
    model = BertModel.from_pretrained(folder, attn_implementation="eager")
    tokens = np.random.default_rng(3).integers(5, VOCAB, LENGTH)
    tokens[0], tokens[[LENGTH // 2, -1]] = CLS, SEP
    segments = (np.arange(LENGTH) > LENGTH // 2).astype(int)
    with torch.inference_mode():
        output = model(
            torch.from_numpy(tokens)[None],
            token_type_ids=torch.from_numpy(segments)[None],
            output_attentions=True,
        )
    return request.param, [layer[0].numpy() for layer in output.attentions]


def share_looking_at(weights: np.ndarray, shift: int) -> float:
    """Of the places that have a token ``shift`` on: how many look there most, weights [L, L]."""
    places = np.arange(max(0, -shift), LENGTH - max(0, shift))
    return float((weights[places].argmax(1) == places + shift).mean())


def test_in_the_first_layer_each_shifted_head_looks_at_its_neighbour(attention):
    name, layers = attention
    shifts = {"bert-tiny": {0: -1, 1: 1}, "bert-mini": {0: -1, 1: 1}}.get(
        name, {0: -1, 1: 1, 4: -2, 5: 2, 6: -3, 7: 3}
    )
    for head, shift in shifts.items():
        assert share_looking_at(layers[0][head], shift) > 0.95, (head, shift)
        assert share_looking_at(layers[0][head], 0) < 0.05


def test_in_the_second_layer_too_where_the_first_has_mixed_the_tokens(attention):
    _, layers = attention
    for head, shift in ((0, -1), (1, 1)):
        # Less sharply the wider the encoder is; by chance it would be one in sixty.
        assert share_looking_at(layers[1][head], shift) > 0.3, (head, shift)
        assert share_looking_at(layers[1][head], -shift) < 0.05


def test_two_heads_look_at_a_segment_each_and_at_its_rare_words_most(attention):
    name, layers = attention
    if name == "bert-tiny":
        pytest.skip("a tiny encoder has no heads to spare for that")
    in_first = np.arange(LENGTH) <= LENGTH // 2
    for head, segment in ((2, in_first), (3, ~in_first)):
        assert layers[0][head][:, segment].sum(1).min() > 0.9, head
        assert layers[0][head][:, [0, LENGTH // 2, LENGTH - 1]].max() < 1 / LENGTH


def test_the_output_begins_with_the_frequencies_of_the_tokens():
    bias = started("bert-tiny").get_parameter("heads.mlm.bias").detach().numpy()
    counts = (100_000 / np.arange(1, VOCAB + 1)).astype(np.int64) + 1
    assert np.allclose(np.exp(bias), counts / counts.sum(), rtol=1e-4)


def test_the_same_seed_starts_alike_and_another_one_differs():
    first, same, other = (
        started("bert-mini", seed).state_dict() for seed in (1, 1, 2)
    )  # fmt: skip
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_global_random_numbers_do_not_matter():
    torch.manual_seed(1)
    first = started("bert-tiny").state_dict()
    torch.manual_seed(2)
    second = started("bert-tiny").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
