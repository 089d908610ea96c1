"""The commands work with byte-level BPE and Unigram as with WordPiece."""

import pytest

from selfsup.corpus.tokenizer.wordpiece import vocabulary_size
from selfsup.encoder.config import EncoderConfig
from tests.corpus.tokenizer.other_tokenizers import trained, write_folder
from tests.encoder.families.commands import check_commands, check_pretraining, write_model


@pytest.mark.parametrize(
    ("kind", "config", "sizes"),
    [
        # As the multilingual MiniLM is: BERT's weights under XLM-RoBERTa's tokenizer.
        ("metaspace", EncoderConfig, {"pad_token_id": 1}),
    ],
)
def test_a_model_with_another_tokenizer_does_all_that_a_bert_does(tmp_path, kind, config, sizes):
    tokenizer = trained(kind)
    folder = write_folder(tmp_path / "tokenizer", kind, tokenizer)
    model = write_model(tmp_path / "model", config, folder, vocabulary_size(tokenizer), **sizes)
    check_commands(model, tmp_path)
    check_pretraining(model, tmp_path)
