"""A tokenizer folder as `transformers` writes it, for tests that must have some tokenizer."""

from pathlib import Path

from transformers import BertTokenizer

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "paris", "is", "the", "capital", "##s")


def write_tokenizer(folder: Path) -> Path:
    """Write a tokenizer of ten tokens, and its vocabulary also as BERT's ``vocab.txt``."""
    places = {token: place for place, token in enumerate(VOCABULARY)}
    BertTokenizer(vocab=places).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return folder
