"""How layers learn can be chosen for every family, and pre-training can go on."""

import pytest

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.families import TEXT_FAMILIES
from selfsup.errors import UserError
from selfsup.explain.guesses import TextModel, load_model
from selfsup.finetuning.run import finetune
from tests.encoder.families.commands import check_pretraining, write_model
from tests.toy_tasks import (
    VOCABULARY,
    toy_settings,
    toy_tokenizer,
    write_toy_conll,
    write_toy_file,
)

OTHERS = sorted(set(TEXT_FAMILIES) - {"bert"})


@pytest.fixture(scope="module", params=OTHERS)
def files(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    save_tokenizer(toy_tokenizer(), folder / "tokenizer")
    kind = TEXT_FAMILIES[request.param].config
    words = len(VOCABULARY)
    write_model(folder / "encoder", kind, folder / "tokenizer", words, pad_token_id=0)
    for name, count, seed in (("train", 48, 1), ("dev", 16, 2)):
        write_toy_file(folder / f"{name}.tsv", count, seed)
        write_toy_conll(folder / f"{name}.conll", count, seed)
    return folder


@pytest.mark.parametrize(
    "flags",
    [
        {"freeze": "encoder"},
        {"freeze": "1", "layer_decay": 0.5},
        {"reinit_layers": 1, "unfreeze_every": 1},
    ],
    ids=lambda flags: "-".join(flags),
)
def test_layers_are_frozen_drawn_again_and_unfrozen(files, tmp_path, flags):
    summary = finetune(toy_settings(files, tmp_path / "run", epochs=2, **flags))
    assert 0 <= summary["metrics"]["accuracy"]["mean"] <= 1


def test_over_a_frozen_encoder_tags_are_learned(files, tmp_path):
    settings = toy_settings(
        files, tmp_path / "run", task="token-classification", freeze="encoder", learning_rate=None
    )
    assert finetune(settings)["metrics"]["accuracy"]["mean"] > 0.5


def test_a_pooler_that_is_not_there_is_not_replaced(files, tmp_path):
    settings = toy_settings(files, tmp_path / "run", freeze="encoder", pooling="mean")
    with pytest.raises(UserError, match="has no pooler, has no pooling to choose: leave it out"):
        finetune(settings)


def test_a_head_of_several_layers_is_not_fitted(files, tmp_path):
    settings = toy_settings(
        files, tmp_path / "run", freeze="encoder", head="fitted", learning_rate=None
    )
    with pytest.raises(UserError, match="has no head that can be fitted: leave it out"):
        finetune(settings)


def test_pretraining_goes_on_with_masked_tokens(files, tmp_path):
    check_pretraining(files / "encoder", tmp_path)


def test_what_a_model_has_learned_is_told_by_its_heads(files):
    model = load_model(str(files / "encoder"))
    assert isinstance(model, TextModel)
    assert model.learned == ["mlm"]
