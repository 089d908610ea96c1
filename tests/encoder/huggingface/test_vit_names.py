"""The table of names covers every weight of both sides, once, and leads back."""

import torch
from transformers import ViTModel

from selfsup.encoder.huggingface.names import (
    from_hugging_face,
    hugging_face_names,
    to_hugging_face,
    vit_names,
    with_present_vit_names,
)
from tests.encoder.huggingface.vit_peers import SMALL, new_vit, peer_config


def test_every_weight_has_the_name_and_sizes_that_transformers_gives_it():
    peer = ViTModel(peer_config(SMALL), add_pooling_layer=False)
    ours = to_hugging_face(new_vit().named_parameters(), vit_names())
    theirs = with_present_vit_names(peer.state_dict())
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items()}


def test_there_and_back_changes_nothing():
    parameters = dict(new_vit().named_parameters())
    theirs = to_hugging_face(parameters.items(), vit_names())
    back = from_hugging_face(theirs, parameters, vit_names())
    assert back.keys() == parameters.keys()
    assert all(torch.equal(back[name], parameters[name]) for name in parameters)


def test_an_encoder_inside_a_model_keeps_hugging_faces_prefix():
    table = vit_names("encoder.")
    assert hugging_face_names("encoder.layers.3.feed_forward_norm.bias", table) == [
        "vit.encoder.layer.3.layernorm_after.bias"
    ]
    assert hugging_face_names("encoder.embeddings.cls_token", table) == ["vit.embeddings.cls_token"]


def test_names_that_are_as_they_should_be_stay_and_so_do_heads():
    weights = dict.fromkeys(
        [*to_hugging_face(new_vit().named_parameters(), vit_names()), "classifier.weight"],
        torch.zeros(1),
    )
    assert with_present_vit_names(weights).keys() == weights.keys()
