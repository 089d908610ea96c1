"""Tiny tokenizers as `transformers` saves them, trained on a few lines."""

import json
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

LINES = [
    "a fine great warm witty film", "the dull grim lame vapid plot", "The film is very fine .",
    "the plot was very lame , a dull film", "영화가 정말 좋았다", "그 영화는 지루했다 😀 café",
    "film plot is was very", "Witty and Warm and Fine and Great",
]  # fmt: skip
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def byte_level_bpe(folder: Path, size: int = 400) -> int:
    """Write RoBERTa's kind of tokenizer, and return how many tokens it has."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[*SPECIAL, "<mask>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(LINES * 3, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges: Any = [tuple(merge) for merge in model["merges"]]
    peer = transformers.RobertaTokenizer(vocab=model["vocab"], merges=merges)
    peer.save_pretrained(folder)
    return len(peer)


def unigram(folder: Path, size: int = 150) -> int:
    """Write XLM-RoBERTa's kind of tokenizer, and return how many tokens it has."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(LINES * 3, trainer)
    vocabulary = [
        (token, score) for token, score in json.loads(tokenizer.to_str())["model"]["vocab"]
    ]
    peer = transformers.XLMRobertaTokenizer(vocab=[*vocabulary, ("<mask>", 0.0)])
    peer.save_pretrained(folder)
    return len(peer)
