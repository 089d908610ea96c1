"""A small tokenizer folder as `transformers` writes it, for tests that need any tokenizer."""

from pathlib import Path

from transformers import BertTokenizer

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.tasks.encoders import Limits, TextPreparation

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "paris", "is", "the", "capital", "##s")


def write_tokenizer(folder: Path) -> Path:
    """Write a tokenizer of ten tokens, with its vocabulary also as BERT's ``vocab.txt``."""
    ids = {token: index for index, token in enumerate(VOCABULARY)}
    BertTokenizer(vocab=ids).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return folder


def text_preparation(tokenizer_folder: Path, limits: Limits) -> TextPreparation:
    """The preparation of texts with the tokenizer of a folder."""
    return TextPreparation(load_tokenizer(tokenizer_folder), limits, tokenizer_folder)
