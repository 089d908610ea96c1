"""The table of names covers every weight of both sides, once, and leads back."""

import dataclasses

import torch
from transformers import BertConfig, BertModel

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.families.bert import BERT
from selfsup.encoder.huggingface.names import (
    from_hugging_face,
    hugging_face_names,
    to_hugging_face,
    with_present_names,
)

CONFIG = EncoderConfig(
    vocab_size=9, hidden_size=4, num_hidden_layers=12, num_attention_heads=2, intermediate_size=6
)


def test_every_weight_has_the_name_and_sizes_that_transformers_gives_it():
    peer = BertModel(BertConfig(**dataclasses.asdict(CONFIG)))
    ours = to_hugging_face(BertEncoder(CONFIG).named_parameters(), BERT.encoder_names())
    theirs = with_present_names(peer.state_dict(), BERT.prefix, BERT.parts)
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items()}


def test_there_and_back_changes_nothing():
    parameters = dict(BertEncoder(CONFIG).named_parameters())
    theirs = to_hugging_face(parameters.items(), BERT.encoder_names())
    back = from_hugging_face(theirs, parameters, BERT.encoder_names())
    assert back.keys() == parameters.keys()
    assert all(torch.equal(back[name], parameters[name]) for name in parameters)


def test_query_key_and_value_are_the_thirds_of_one_matrix_in_this_order():
    weight = torch.arange(12.0)[:, None].expand(-1, 4)
    theirs = to_hugging_face(
        [("layers.10.attention.query_key_value.weight", weight)], BERT.encoder_names()
    )
    prefix = "bert.encoder.layer.10.attention.self."
    assert {name: tensor[:, 0].tolist() for name, tensor in theirs.items()} == {
        prefix + "query.weight": [0, 1, 2, 3],
        prefix + "key.weight": [4, 5, 6, 7],
        prefix + "value.weight": [8, 9, 10, 11],
    }


def test_an_encoder_inside_a_model_keeps_hugging_faces_prefix():
    table = BERT.encoder_names("encoder.")
    name = "encoder.layers.3.attention_norm.bias"
    expected = "bert.encoder.layer.3.attention.output.LayerNorm.bias"
    assert hugging_face_names(name, table) == [expected]


def test_a_parameter_that_lacks_a_part_is_left_out():
    parameters = dict(BertEncoder(CONFIG).named_parameters())
    theirs = to_hugging_face(parameters.items(), BERT.encoder_names())
    del theirs["bert.encoder.layer.5.attention.self.key.weight"]
    back = from_hugging_face(theirs, parameters, BERT.encoder_names())
    assert parameters.keys() - back.keys() == {"layers.5.attention.query_key_value.weight"}
