"""The encoder computes what `transformers.BertModel` computes, without computing padding."""

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import BertConfig, BertModel

from selfsup.encoder import attention, layers
from selfsup.encoder.bert import ACTIVATIONS, BertEncoder
from selfsup.encoder.config import BERT_SIZES, EncoderConfig, bert_config
from selfsup.encoder.families.bert import BERT
from selfsup.encoder.huggingface.folder import load_weights
from selfsup.encoder.huggingface.names import to_hugging_face, with_present_names
from selfsup.encoder.layers import initialize
from selfsup.encoder.packing import Packing, Queries
from selfsup.encoder.text import EncoderOutput
from selfsup.errors import UserError

SMALL = EncoderConfig(
    vocab_size=50,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=16,
)


@st.composite
def encoder_configs(draw: st.DrawFn) -> EncoderConfig:
    heads = draw(st.integers(1, 4))
    return EncoderConfig(
        vocab_size=draw(st.integers(2, 60)),
        hidden_size=heads * draw(st.integers(4, 9)),
        num_hidden_layers=draw(st.integers(1, 3)),
        num_attention_heads=heads,
        intermediate_size=draw(st.integers(1, 50)),
        max_position_embeddings=20,
        type_vocab_size=draw(st.integers(1, 3)),
        hidden_act=draw(st.sampled_from(sorted(ACTIVATIONS))),
        layer_norm_eps=draw(st.sampled_from([1e-12, 1e-5])),
        initializer_range=0.2,
    )


def peer_of(config: EncoderConfig, seed: int) -> BertModel:
    torch.manual_seed(seed)
    return BertModel(BertConfig(**dataclasses.asdict(config))).eval()


def with_the_weights_of(peer: BertModel, config: EncoderConfig) -> BertEncoder:
    encoder = BertEncoder(config)
    weights = with_present_names(peer.state_dict(), BERT.prefix, BERT.parts)
    assert not load_weights(encoder, weights, BERT.encoder_names(), 0.02, 0, "peer")
    return encoder.eval()


def random_inputs(config: EncoderConfig, lengths: list[int], seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    total = sum(lengths)
    # Never [PAD], 0: nothing is padded, and to it `transformers` gives no gradient.
    input_ids = torch.randint(1, config.vocab_size, (total,), generator=generator)
    return input_ids, torch.randint(config.type_vocab_size, (total,), generator=generator)


def run_padded(
    peer: BertModel, input_ids: Tensor, token_type_ids: Tensor, lengths: list[int]
) -> EncoderOutput:
    """What `transformers` computes, its output at padding left out."""

    def pad(x: Tensor) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(list(x.split(lengths)), batch_first=True)

    is_token = pad(torch.ones_like(input_ids)).bool()
    output = peer(
        pad(input_ids), token_type_ids=pad(token_type_ids), attention_mask=is_token.long()
    )
    return EncoderOutput(output.last_hidden_state[is_token], output.pooler_output)


def run_packed(
    encoder: BertEncoder, input_ids: Tensor, token_type_ids: Tensor, lengths: list[int]
) -> EncoderOutput:
    return encoder(input_ids, token_type_ids, Packing.from_lengths(torch.tensor(lengths)))


@given(encoder_configs(), st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 99))
def test_it_equals_transformers_on_random_sizes_and_lengths(config, lengths, seed):
    peer = peer_of(config, seed)
    encoder = with_the_weights_of(peer, config)
    inputs = random_inputs(config, lengths, seed)
    with torch.no_grad():
        ours, theirs = run_packed(encoder, *inputs, lengths), run_padded(peer, *inputs, lengths)
    torch.testing.assert_close(ours.last_hidden_state, theirs.last_hidden_state, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.pooler_output, theirs.pooler_output, atol=1e-5, rtol=0)


@given(
    encoder_configs(),
    st.lists(st.integers(1, 20), min_size=1, max_size=6),
    st.integers(0, 99),
    st.data(),
)
def test_the_states_of_some_tokens_are_those_among_all_states(config, lengths, seed, data):
    config = dataclasses.replace(config, hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    encoder = BertEncoder(config, pooled=False).double()
    initialize(encoder, 0.2, seed)
    inputs = random_inputs(config, lengths, seed)
    packing = Packing.from_lengths(torch.tensor(lengths))
    asked = data.draw(st.sets(st.integers(0, sum(lengths) - 1), min_size=1))
    queries = Queries.at(torch.tensor(sorted(asked)), packing)
    gradients = []
    for states in (
        encoder.states_at(queries, *inputs, packing),
        encoder.hidden_states(*inputs, packing)[queries.rows],
    ):
        towards = torch.randn(states.shape, generator=torch.Generator().manual_seed(seed))
        (states * towards).sum().backward()
        gradients.append([states, *(_gradient(parameter) for parameter in encoder.parameters())])
        encoder.zero_grad()
    for some, of_all in zip(*gradients, strict=True):
        torch.testing.assert_close(some, of_all, atol=1e-9, rtol=1e-7)


@given(encoder_configs(), st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 99))
def test_its_gradients_equal_those_of_transformers(config, lengths, seed):
    peer = peer_of(config, seed).double()  # where rounding hides no difference
    encoder = with_the_weights_of(peer, config).double()
    inputs = random_inputs(config, lengths, seed)
    generator = torch.Generator().manual_seed(seed)
    towards_tokens = torch.randn(sum(lengths), config.hidden_size, generator=generator).double()
    towards_pooler = torch.randn(len(lengths), config.hidden_size, generator=generator).double()
    for output in (run_packed(encoder, *inputs, lengths), run_padded(peer, *inputs, lengths)):
        loss = (output.last_hidden_state * towards_tokens).sum()
        (loss + (output.pooler_output * towards_pooler).sum()).backward()
    ours = to_hugging_face(
        [(name, _gradient(parameter)) for name, parameter in encoder.named_parameters()],
        BERT.encoder_names(),
    )
    for name, parameter in peer.named_parameters():
        torch.testing.assert_close(
            ours["bert." + name], _gradient(parameter), atol=1e-9, rtol=1e-7, msg=name
        )


@given(encoder_configs(), st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 99))
def test_first_tokens_alone_are_as_among_all_tokens_and_so_are_their_gradients(
    config, lengths, seed
):
    torch.manual_seed(seed)
    encoder = BertEncoder(config).double().eval()  # where rounding hides no difference
    inputs = (*random_inputs(config, lengths, seed), Packing.from_lengths(torch.tensor(lengths)))
    towards = torch.randn(len(lengths), config.hidden_size).double()
    gradients = []
    for pooled in (encoder(*inputs).pooler_output, encoder.pooled_states(*inputs)):
        encoder.zero_grad()
        (pooled * towards).sum().backward()
        gradients.append([_gradient(parameter).clone() for parameter in encoder.parameters()])
        torch.testing.assert_close(pooled, encoder(*inputs).pooler_output, atol=1e-12, rtol=0)
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=1e-8)


def test_what_attention_drops_of_first_tokens_alone_is_as_among_all_tokens(monkeypatch):
    """Of the probabilities that are left the sum is not 1."""
    monkeypatch.setattr(attention, "drop_out", lambda x, p: x * (torch.arange(x.shape[-1]) % 3))
    torch.manual_seed(0)
    encoder = BertEncoder(SMALL).double().eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)  # biases too
    inputs = (
        *random_inputs(SMALL, [9, 4, 8], seed=3),
        Packing.from_lengths(torch.tensor([9, 4, 8])),
    )
    of_all = encoder(*inputs).pooler_output
    torch.testing.assert_close(encoder.pooled_states(*inputs), of_all, atol=1e-12, rtol=0)


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_no_token_sees_another_sequence(changed):
    torch.manual_seed(0)
    encoder = BertEncoder(SMALL).eval()
    lengths = [5, 12, 7]
    input_ids, token_type_ids = random_inputs(SMALL, lengths, seed=1)
    other_ids = input_ids.clone()
    of_changed = slice(sum(lengths[:changed]), sum(lengths[: changed + 1]))
    other_ids[of_changed] = other_ids[of_changed] % (SMALL.vocab_size - 1) + 1
    with torch.no_grad():
        before = run_packed(encoder, input_ids, token_type_ids, lengths).last_hidden_state
        after = run_packed(encoder, other_ids, token_type_ids, lengths).last_hidden_state
    same = (before == after).all(1)
    assert same.sum() == sum(lengths) - lengths[changed]
    assert not same[of_changed].any()


def test_a_sequence_is_encoded_alike_alone_and_in_any_batch():
    torch.manual_seed(0)
    encoder = BertEncoder(SMALL).eval()
    lengths = [16, 1, 9]
    input_ids, token_type_ids = random_inputs(SMALL, lengths, seed=2)
    with torch.no_grad():
        together = run_packed(encoder, input_ids, token_type_ids, lengths)
        for place, alone_ids in enumerate(input_ids.split(lengths)):
            types = token_type_ids.split(lengths)[place]
            alone = run_packed(encoder, alone_ids, types, [lengths[place]])
            hidden = together.last_hidden_state.split(lengths)[place]
            torch.testing.assert_close(alone.last_hidden_state, hidden, atol=1e-6, rtol=0)
            torch.testing.assert_close(
                alone.pooler_output[0], together.pooler_output[place], atol=1e-6, rtol=0
            )


def test_dropout_acts_in_training_only():
    config = dataclasses.replace(SMALL, hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5)
    torch.manual_seed(0)
    encoder = BertEncoder(config)
    inputs = random_inputs(config, [9, 4], seed=3)

    def encode() -> Tensor:
        with torch.no_grad():
            return run_packed(encoder, *inputs, [9, 4]).last_hidden_state

    assert not torch.equal(encode(), encode())
    encoder.eval()
    assert torch.equal(encode(), encode())


@pytest.mark.parametrize("kind", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_each_kind_of_dropout_acts_by_itself(kind):
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = dataclasses.replace(SMALL, **{**rates, kind: 0.3})
    torch.manual_seed(0)
    encoder = BertEncoder(config)
    inputs = random_inputs(config, [9, 4], seed=3)
    first = run_packed(encoder, *inputs, [9, 4]).last_hidden_state
    assert not torch.equal(first, run_packed(encoder, *inputs, [9, 4]).last_hidden_state)
    none_at_all = BertEncoder(dataclasses.replace(SMALL, **rates))
    first = run_packed(none_at_all, *inputs, [9, 4]).last_hidden_state
    assert torch.equal(first, run_packed(none_at_all, *inputs, [9, 4]).last_hidden_state)


def test_dropout_acts_where_it_does_in_transformers(monkeypatch):
    """With a factor in place of chance, which tells each place from any other."""
    config = dataclasses.replace(SMALL, hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.4)
    torch.manual_seed(0)
    options: dict[str, Any] = {**dataclasses.asdict(config), "attn_implementation": "eager"}
    peer = BertModel(BertConfig(**options))
    ours = with_the_weights_of(peer, config).train()
    for module in (layers, attention):
        monkeypatch.setattr(module, "drop_out", lambda x, p: x * (1 + p))
    monkeypatch.setattr(
        torch.nn.functional,
        "dropout",
        lambda x, p=0.5, training=True, inplace=False: x * (1 + p) if training else x,
    )
    lengths = [9, 4]
    inputs = random_inputs(config, lengths, 0)
    with torch.no_grad():
        found, expected = run_packed(ours, *inputs, lengths), run_padded(peer, *inputs, lengths)
    torch.testing.assert_close(
        found.last_hidden_state, expected.last_hidden_state, atol=1e-5, rtol=0
    )


def test_bfloat16_autocast_stays_near_float32():
    torch.manual_seed(0)
    encoder = BertEncoder(SMALL).eval()
    inputs = random_inputs(SMALL, [9, 16], seed=4)
    with torch.no_grad():
        exact = run_packed(encoder, *inputs, [9, 16]).last_hidden_state
        with torch.autocast("cpu", torch.bfloat16):
            rounded = run_packed(encoder, *inputs, [9, 16]).last_hidden_state
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, atol=0.05, rtol=0.05)


def test_weights_begin_as_in_the_paper():
    """N(0, 0.02²) cut off at two standard deviations; biases 0; norms the identity."""
    encoder = BertEncoder(bert_config("bert-tiny", vocab_size=2000))
    initialize(encoder, std=0.02, seed=0)
    # The variance of a standard normal cut off at ±2 (Johnson & Kotz 1970, ch. 13): 0.7737.
    std = 0.02 * 0.7737**0.5
    for name, parameter in encoder.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            count = parameter.numel()
            assert parameter.abs().max() <= 0.04, name
            assert abs(parameter.mean()) < 5 * std / count**0.5, name
            assert parameter.std().item() == pytest.approx(std, rel=5 / count**0.5), name


def test_initialisation_is_a_function_of_the_seed():
    first, second, other = (BertEncoder(SMALL) for _ in range(3))
    initialize(first, 0.02, seed=1)
    torch.manual_seed(99)  # the global generator takes no part
    initialize(second, 0.02, seed=1)
    initialize(other, 0.02, seed=2)
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.pooler.weight, other.pooler.weight)


@pytest.mark.parametrize(
    ("name", "parameters"),
    # Turc et al. 2019, Table 1 (millions, rounded), with BERT's vocabulary of 30,522.
    [("bert-tiny", 4.4), ("bert-mini", 11.2), ("bert-small", 28.8), ("bert-medium", 41.4),
     ("bert-base", 109.5), ("bert-large", 335.1)],
)  # fmt: skip
def test_named_sizes_have_the_parameters_that_the_papers_state(name, parameters):
    with torch.device("meta"):
        encoder = BertEncoder(bert_config(name, vocab_size=30522))
    millions = sum(parameter.numel() for parameter in encoder.parameters()) / 1e6
    assert millions == pytest.approx(parameters, abs=0.06)


def test_every_named_size_is_tested():
    assert list(BERT_SIZES) == [
        "bert-tiny", "bert-mini", "bert-small", "bert-medium", "bert-base", "bert-large",
    ]  # fmt: skip


def test_an_unknown_size_is_refused_with_those_there_are():
    with pytest.raises(UserError, match=r"'bert-huge'.*bert-tiny, bert-mini"):
        bert_config("bert-huge", vocab_size=100)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"num_attention_heads": 5}, "hidden_size 24 is not a multiple of num_attention_heads 5"),
        ({"num_hidden_layers": 0}, "num_hidden_layers must be at least 1, not 0"),
        ({"hidden_dropout_prob": 1.0}, r"hidden_dropout_prob must be in \[0, 1\), not 1.0"),
    ],
)
def test_impossible_sizes_are_refused(change, complaint):
    with pytest.raises(UserError, match=complaint):
        dataclasses.replace(SMALL, **change)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("lengths", [[16, 16], [3, 16, 1, 9]])
def test_attention_over_variable_lengths_on_cuda_equals_the_cpu(lengths):
    config = dataclasses.replace(SMALL, hidden_size=128, num_attention_heads=2)
    torch.manual_seed(0)
    encoder = BertEncoder(config).eval()
    input_ids, token_type_ids = random_inputs(config, lengths, seed=5)
    packing = Packing.from_lengths(torch.tensor(lengths))
    with torch.no_grad():
        exact = encoder(input_ids, token_type_ids, packing).last_hidden_state
        cuda = torch.device("cuda")
        inputs = input_ids.to(cuda), token_type_ids.to(cuda), packing.to(cuda)
        on_cuda = encoder.to(cuda)(*inputs).last_hidden_state
        with torch.autocast("cuda", torch.bfloat16):
            rounded = encoder(*inputs).last_hidden_state
    torch.testing.assert_close(on_cuda.cpu(), exact, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(rounded.float().cpu(), exact, atol=0.05, rtol=0.05)
