"""A task that a tiny model learns in seconds: a good word makes a text "up", a bad one "down"."""

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.corpus.tokenizer.wordpiece import SPECIAL_TOKENS, wordpiece_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.layers import initialize
from selfsup.pretraining.text.model import TextPretrainingModel, save_pretraining

GOOD = ("fine", "great", "warm", "witty")
BAD = ("dull", "grim", "lame", "vapid")
OTHER = ("a", "the", "film", "plot", "is", "was", "very", ",", "##s")
VOCABULARY = (*SPECIAL_TOKENS, *GOOD, *BAD, *OTHER)

CONFIG = EncoderConfig(
    vocab_size=len(VOCABULARY),
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=32,
)


def toy_tokenizer() -> Tokenizer:
    ids = {token: index for index, token in enumerate(VOCABULARY)}
    return wordpiece_tokenizer(ids, lowercase=True, strip_accents=False)


def write_toy_model(folder: Path, *objectives: str) -> Path:
    """Write a model folder with random weights and the heads of these objectives."""
    save_tokenizer(toy_tokenizer(), folder)
    model = TextPretrainingModel(BertEncoder(CONFIG), objectives or ("mlm", "nsp"))
    initialize(model, 0.15, seed=4)
    save_pretraining(folder, model.eval(), folder, "# Toy\n")
    return folder


def toy_examples(count: int, seed: int) -> list[tuple[str, str]]:
    """Make (label, text) pairs of two to eleven words, half of each label."""
    random = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        label, label_words = (("up", GOOD), ("down", BAD))[number % 2]
        words = list(random.choice(OTHER[:-1], random.integers(1, 11)))
        words.insert(random.integers(len(words) + 1), str(random.choice(label_words)))
        examples.append((label, " ".join(words)))
    return examples


def write_toy_file(path: Path, count: int, seed: int) -> Path:
    lines = ["label\tsentence", *("\t".join(example) for example in toy_examples(count, seed))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
