"""The choices that the settings name are those that there are (they import no torch to ask)."""

import dataclasses

import pytest

from selfsup.encoder.config import BERT_SIZES, VIT_SIZES
from selfsup.errors import UserError
from selfsup.pretraining.images.model import image_objectives
from selfsup.pretraining.text.model import text_objectives
from selfsup.settings.corpus import PrepareSettings
from selfsup.settings.finetune import TASKS as OFFERED_TASKS
from selfsup.settings.objectives import IMAGE_OBJECTIVES, OBJECTIVES, TEXT_OBJECTIVES
from selfsup.settings.pretrain import FLAGS_FOR_IMAGES, FLAGS_FOR_TEXT, PretrainSettings
from selfsup.tasks.registry import TASKS


def test_finetune_offers_the_tasks_of_the_table():
    assert set(OFFERED_TASKS) == set(TASKS)


def test_pretrain_offers_the_objectives_there_are():
    assert tuple(each.name for each in text_objectives(OBJECTIVES)) == TEXT_OBJECTIVES
    assert tuple(each.name for each in image_objectives(OBJECTIVES)) == IMAGE_OBJECTIVES


def test_pretrain_names_every_size_of_encoder():
    (about,) = (
        field.metadata["help"]
        for field in dataclasses.fields(PretrainSettings)
        if field.name == "encoder"
    )
    assert all(name in about for name in (*BERT_SIZES, *VIT_SIZES))


@pytest.mark.parametrize("language", ["auto", "en", "ko", "yue", "zh-Hant"])
def test_a_language_is_named_by_its_code(language):
    assert PretrainSettings(data=("a.txt",), out="run", language=language).language == language


@pytest.mark.parametrize("language", ["Korean", "english", "EN", "e", ""])
def test_what_is_no_code_of_a_language_is_refused(language):
    with pytest.raises(UserError, match="--language must be auto or a code"):
        PretrainSettings(data=("a.txt",), out="run", language=language)
    with pytest.raises(UserError, match="--language must be auto or a code"):
        PrepareSettings(corpus=("a.txt",), tokenizer="t", out="shards", language=language)


def test_flags_for_one_kind_of_data_are_flags():
    names = {field.name for field in dataclasses.fields(PretrainSettings)}
    assert names >= {*FLAGS_FOR_TEXT, *FLAGS_FOR_IMAGES}
