"""An encoder whose pooler gives the mean of a layer's states is still an ordinary BERT model."""

import pytest
import torch
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.families.bert import BERT
from selfsup.encoder.huggingface.config import config_of
from selfsup.encoder.huggingface.folder import load_weights
from selfsup.encoder.huggingface.names import to_hugging_face
from selfsup.encoder.layers import initialize
from selfsup.encoder.packing import Packing
from selfsup.encoder.pooling import Pooling, mean_poolings, pooled_parts, standardize, with_pooling
from selfsup.errors import UserError

CONFIG = EncoderConfig(
    vocab_size=50,
    hidden_size=24,
    num_hidden_layers=3,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=16,
)
LENGTHS = (7, 1, 16, 4)
POOLINGS = ["mean", "mean-1", "mean-2", "mean-3", "cls"]


@pytest.fixture(scope="module")
def encoder() -> BertEncoder:
    encoder = BertEncoder(CONFIG)
    initialize(encoder, 0.2, seed=1)
    return encoder.eval()


def pooled(encoder: BertEncoder, pooling: Pooling) -> BertEncoder:
    weights = to_hugging_face(encoder.named_parameters(), BERT.encoder_names())
    config, weights = with_pooling(CONFIG, weights, pooling)
    changed = BertEncoder(config)
    assert not load_weights(changed, weights, BERT.encoder_names(), 0.02, 0, "changed")
    return changed.eval()


def a_batch() -> tuple[torch.Tensor, torch.Tensor, Packing]:
    packing = Packing.from_lengths(torch.tensor(LENGTHS))
    ids = torch.randint(CONFIG.vocab_size, (sum(LENGTHS),), generator=torch.manual_seed(2))
    return ids, ids % 2, packing


@pytest.mark.parametrize("name", POOLINGS)
@torch.inference_mode()
def test_transformers_computes_the_pooled_vectors(name: str, encoder):
    changed = pooled(encoder, Pooling.parse(name, 3))
    peer = BertModel(BertConfig(**config_of(changed.config, "BertModel"))).eval()
    weights = to_hugging_face(changed.named_parameters(), BERT.encoder_names())
    peer.load_state_dict({key.removeprefix("bert."): value for key, value in weights.items()})
    ids, types, packing = a_batch()
    ours = changed.pooled_states(ids, types, packing)
    for row, (one, one_type) in enumerate(
        zip(ids.split(LENGTHS), types.split(LENGTHS), strict=True)
    ):
        theirs = peer(one[None], token_type_ids=one_type[None]).pooler_output[0]
        torch.testing.assert_close(ours[row], theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", POOLINGS)
@torch.inference_mode()
def test_the_pooled_vector_is_the_mean_of_the_layers_states(name: str, encoder):
    pooling = Pooling.parse(name, 3)
    ids, types, packing = a_batch()
    states = list(encoder.layer_states(ids, types, packing))[(pooling.layer or 3) - 1]
    vectors = states[packing.first_rows]
    if pooling.is_mean:
        means = torch.stack([part.mean(0) for part in states.split(LENGTHS)])
        vectors = F.layer_norm(means, (CONFIG.hidden_size,))
    torch.testing.assert_close(pooling.pool(states, packing), vectors, atol=1e-5, rtol=0)
    found = pooled(encoder, pooling).pooled_states(ids, types, packing)
    # The state of [CLS] itself is still there, with a weight of 2^-12.
    torch.testing.assert_close(found, torch.tanh(vectors / 8), atol=1e-3, rtol=0)


def test_the_parts_that_only_pool_are_known_by_their_values(encoder):
    assert pooled_parts(encoder) == ()
    assert pooled_parts(pooled(encoder, Pooling(False))) == ("pooler",)
    assert pooled_parts(pooled(encoder, Pooling(True, 2))) == ("pooler", "layers.2")


@torch.inference_mode()
def test_a_pooler_standardises_by_training_examples(encoder):
    changed = pooled(encoder, Pooling(True))
    vectors = torch.randn(100, 24, generator=torch.manual_seed(0)) * 5 + 3
    vectors[:, 4] = 7.0
    standardize(changed.pooler, vectors)
    expected = (vectors - vectors.mean(0)) / vectors.std(0, correction=0)
    expected[:, 4] = 0
    torch.testing.assert_close(changed.pool(vectors), torch.tanh(expected / 8))
    assert pooled_parts(changed) == ("pooler", "layers.3")


def test_a_name_gives_back_its_pooling():
    poolings = [*mean_poolings(3, 4), Pooling(False)]
    assert [str(pooling) for pooling in poolings] == ["mean", "mean-2", "mean-1", "cls"]
    assert [Pooling.parse(str(pooling), 3) for pooling in poolings] == poolings


@pytest.mark.parametrize("name", ["mean-4", "mean-0", "mean-", "max", "mean-²"])
def test_a_pooling_that_the_encoder_does_not_have_is_refused(name: str):
    with pytest.raises(UserError, match="mean-N with a layer N from 1 to 3"):
        Pooling.parse(name, 3)
