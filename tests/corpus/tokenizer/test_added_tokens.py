"""Tokens added beside a bare vocabulary have the ids that `transformers` gives them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import BertTokenizer

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.corpus.tokenizer.wordpiece import SPECIAL_TOKENS, WordPieceEncoder
from selfsup.errors import UserError

WORDS = ("the", "film", "new", "##york", "York", "<", "e", "##1", ">")
VOCABULARY = (*SPECIAL_TOKENS, *WORDS)
ADDED = {"NewYork": len(VOCABULARY), "<e1>": len(VOCABULARY) + 1}
TEXTS = [
    "the NewYork film",
    "the newyork film <e1>the",
    "theNewYorkfilm, NEWYORK",
    "<E1> the <e1> New York",
    "the film",
]


def described(**flags: dict[str, Any]) -> dict[str, Any]:
    """The tokens as tokenizer_config.json holds them, those named with these flags."""
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
    tokens = {"[MASK]": 4} | ADDED
    own = {"[MASK]": {"normalized": False, "special": True}} | flags
    return {
        str(number): {"content": token, "special": False} | usual | own.get(token, {})
        for token, number in tokens.items()
    }


def write_vocabulary(folder: Path, added: dict[str, int] | None, config: dict | None) -> Path:
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    if added is not None:
        (folder / "added_tokens.json").write_text(json.dumps(added))
    if config is not None:
        config = {"tokenizer_class": "BertTokenizer", **config}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("added", "config"),
    [
        (ADDED, None),
        (dict(reversed(ADDED.items())), {"do_lower_case": True}),
        (ADDED, {"do_lower_case": False}),
        (ADDED | {"[MASK]": 4}, {"do_lower_case": False}),
        (ADDED, {"added_tokens_decoder": described()}),
        (None, {"added_tokens_decoder": described(NewYork={"normalized": False})}),
        (None, {"added_tokens_decoder": described(NewYork={"single_word": True})}),
    ],
)
def test_added_tokens_have_the_ids_of_transformers(added, config, tmp_path):
    folder = write_vocabulary(tmp_path, added, config)
    theirs = BertTokenizer.from_pretrained(folder)
    ours = load_tokenizer(folder)
    expected = [theirs(text, add_special_tokens=False).input_ids for text in TEXTS]
    assert [ours.encode(text, add_special_tokens=False).ids for text in TEXTS] == expected
    assert set(ADDED.values()) <= {number for ids in expected for number in ids}
    assert ours.get_vocab_size() == len(theirs) == len(VOCABULARY) + 2
    encoder = WordPieceEncoder(ours)
    encoded = [np.frombuffer(ids, encoder.dtype).tolist() for ids in encoder.encode_batch(TEXTS)]
    assert encoded == expected


def test_a_special_added_token_has_its_id_where_special_tokens_are_matched(tmp_path):
    special = {"normalized": False, "special": True}
    config = {"added_tokens_decoder": described(**{"<e1>": special})}
    folder = write_vocabulary(tmp_path, None, config)
    theirs, ours = BertTokenizer.from_pretrained(folder), load_tokenizer(folder)
    for text in TEXTS:
        assert ours.encode(text).ids == theirs(text).input_ids
    assert ours.encode("<e1>").ids[1:-1] == [ADDED["<e1>"]]


@pytest.mark.parametrize("number", [len(VOCABULARY) + 3, 6])
def test_an_added_token_of_another_vocabulary_is_refused_in_one_line(number, tmp_path):
    folder = write_vocabulary(tmp_path, {"NewYork": number}, None)
    with pytest.raises(UserError, match=f"'NewYork' has the id {number}, but .*leaves it 14"):
        load_tokenizer(folder)


@pytest.mark.parametrize("content", ["[1]", "{", '{"x": "y"}'])
def test_a_file_of_another_form_is_refused(content, tmp_path):
    folder = write_vocabulary(tmp_path, None, None)
    (folder / "added_tokens.json").write_text(content)
    with pytest.raises(UserError, match=r"added_tokens\.json: .*: copy or make it again"):
        load_tokenizer(folder)
