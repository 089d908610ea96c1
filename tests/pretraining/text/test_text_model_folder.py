"""A pre-trained model goes to `transformers` and back with equal scores."""

import dataclasses
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, BertConfig, BertForMaskedLM, BertForPreTraining

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.layers import initialize
from selfsup.encoder.packing import Packing
from selfsup.errors import UserError
from selfsup.pretraining.text.model import TextPretrainingModel, load_pretraining, save_pretraining
from tests.tokenizer_folder import VOCABULARY, write_tokenizer

CONFIG = EncoderConfig(
    vocab_size=len(VOCABULARY),
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=16,
)
LENGTHS = [7, 4]
INPUT_IDS = torch.tensor([2, 5, 6, 3, 7, 8, 3, 2, 9, 3, 5])
TOKEN_TYPE_IDS = torch.tensor([0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1])


def new_model(*objectives: str) -> TextPretrainingModel:
    model = TextPretrainingModel(BertEncoder(CONFIG), objectives)
    initialize(model, 0.2, seed=0)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(len(name)))
    return model.eval()


def save(folder: Path, model: TextPretrainingModel) -> Path:
    save_pretraining(folder, model, write_tokenizer(folder.parent / "tokenizer"), "# Card\n")
    return folder


def our_scores(model: TextPretrainingModel) -> dict[str, Tensor]:
    with torch.no_grad():
        encoded = model.encoder(
            INPUT_IDS, TOKEN_TYPE_IDS, Packing.from_lengths(torch.tensor(LENGTHS))
        )
        inputs = {"mlm": encoded.last_hidden_state, "nsp": encoded.pooler_output}
        return {name: head(inputs[name]) for name, head in model.heads.items()}


def their_output(peer: torch.nn.Module):
    def pad(x: Tensor) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(list(x.split(LENGTHS)), batch_first=True)

    is_token = pad(torch.ones_like(INPUT_IDS))
    with torch.no_grad():
        output = peer.eval()(
            pad(INPUT_IDS), token_type_ids=pad(TOKEN_TYPE_IDS), attention_mask=is_token
        )
    return output, is_token.bool()


def assert_same_scores(model: TextPretrainingModel, peer: BertForPreTraining) -> None:
    ours = our_scores(model)
    output, is_token = their_output(peer)
    torch.testing.assert_close(ours["mlm"], output.prediction_logits[is_token], atol=1e-5, rtol=0)
    torch.testing.assert_close(ours["nsp"], output.seq_relationship_logits, atol=1e-5, rtol=0)


def test_transformers_gives_equal_scores_for_what_is_saved(tmp_path):
    model = new_model("mlm", "nsp")
    folder = save(tmp_path / "model", model)
    peer, info = BertForPreTraining.from_pretrained(  # type: ignore[misc]
        folder, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert_same_scores(model, peer)


def test_what_transformers_saves_gives_equal_scores_here(tmp_path):
    torch.manual_seed(0)
    peer = BertForPreTraining(BertConfig(**dataclasses.asdict(CONFIG)))
    torch.nn.init.normal_(peer.cls.predictions.bias)
    peer.save_pretrained(tmp_path)
    model, missing = load_pretraining(tmp_path, ["mlm", "nsp"])
    assert missing == ()
    assert_same_scores(model, peer)


@pytest.mark.parametrize("objectives", [("mlm", "nsp"), ("mlm",), ("nsp",)])
def test_a_saved_model_comes_back_bit_for_bit(tmp_path, objectives):
    model = new_model(*objectives)
    folder = save(tmp_path / "model", model)
    loaded, missing = load_pretraining(folder, objectives)
    assert missing == ()
    for (name, ours), theirs in zip(model.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    assert not loaded.training


def test_output_matrix_and_word_embeddings_stay_one_after_loading(tmp_path):
    model, _ = load_pretraining(save(tmp_path / "model", new_model("mlm")), ["mlm"])
    assert model.heads["mlm"].decoder_weight is model.encoder.embeddings.word.weight


@pytest.mark.parametrize(
    ("objectives", "architecture"),
    [
        (("mlm", "nsp"), "BertForPreTraining"),
        (("mlm",), "BertForMaskedLM"),
        (("nsp",), "BertForNextSentencePrediction"),
    ],
)
def test_the_configuration_names_the_class_of_the_heads(tmp_path, objectives, architecture):
    folder = save(tmp_path / "model", new_model(*objectives))
    assert json.loads((folder / "config.json").read_text())["architectures"] == [architecture]
    peer, info = getattr(transformers, architecture).from_pretrained(
        folder, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert isinstance(peer, getattr(transformers, architecture))


def test_masked_lm_alone_gives_equal_scores_in_transformers(tmp_path):
    model = new_model("mlm")
    peer = BertForMaskedLM.from_pretrained(save(tmp_path / "model", model))
    output, is_token = their_output(peer)
    torch.testing.assert_close(our_scores(model)["mlm"], output.logits[is_token], atol=1e-5, rtol=0)


def test_the_automatic_classes_know_the_folder(tmp_path):
    folder = save(tmp_path / "model", new_model("mlm", "nsp"))
    assert type(AutoModel.from_pretrained(folder)).__name__ == "BertModel"
    tokens = AutoTokenizer.from_pretrained(folder)("paris is", "the capitals").tokens()
    assert tokens == ["[CLS]", "paris", "is", "[SEP]", "the", "capital", "##s", "[SEP]"]


def test_heads_that_the_folder_lacks_are_drawn_and_named(tmp_path):
    folder = save(tmp_path / "model", new_model("mlm"))
    model, missing = load_pretraining(folder, ["mlm", "nsp"], seed=3)
    assert missing == ("cls.seq_relationship.bias", "cls.seq_relationship.weight")
    ours, theirs = dict(model.named_parameters()), dict(new_model("mlm").named_parameters())
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not ours["heads.nsp.seq_relationship.bias"].any()


def test_heads_that_are_not_asked_for_are_left_out(tmp_path):
    folder = save(tmp_path / "model", new_model("mlm", "nsp"))
    model, missing = load_pretraining(folder, ["mlm"])
    assert missing == ()
    assert set(model.heads) == {"mlm"}


def rewrite_weights(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    safetensors.torch.save_file(change(safetensors.torch.load_file(path)), path)


def test_output_weights_saved_twice_are_understood(tmp_path):
    """Older checkpoints hold the tied matrix and bias under the decoder's name too, or only so."""
    model = new_model("mlm", "nsp")
    folder = save(tmp_path / "model", model)

    def with_copies(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        embeddings = weights["bert.embeddings.word_embeddings.weight"]
        weights["cls.predictions.decoder.weight"] = embeddings.clone()
        weights["cls.predictions.decoder.bias"] = weights.pop("cls.predictions.bias")
        return weights

    rewrite_weights(folder, with_copies)
    loaded, missing = load_pretraining(folder, ["mlm", "nsp"])
    assert missing == ()
    assert torch.equal(our_scores(loaded)["mlm"], our_scores(model)["mlm"])


def test_an_output_matrix_of_its_own_is_refused(tmp_path):
    folder = save(tmp_path / "model", new_model("mlm"))
    rewrite_weights(
        folder,
        lambda weights: {**weights, "cls.predictions.decoder.weight": torch.zeros(10, 24)},
    )
    with pytest.raises(UserError, match="its output matrix is not its word embeddings"):
        load_pretraining(folder, ["mlm"])
