"""A real byte-level BPE and a real Unigram vocabulary, trained on small samples, as model folders
of RoBERTa and XLM-RoBERTa have them.
"""

import functools
import json
import lzma
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models
from tokenizers.pre_tokenizers import ByteLevel, Metaspace, Sequence, WhitespaceSplit
from tokenizers.processors import RobertaProcessing, TemplateProcessing
from tokenizers.trainers import BpeTrainer, UnigramTrainer

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
KINDS = ("byte-level", "metaspace")
SOME_TEXT = (
    "The film was very witty, a great plot.", "a dull plot", "grim and lame", "the film is warm",
    "It's a film: 12,5 % of \"all\" films (since 1999)!", "영화가 정말 재미있었다.",
    "줄거리가 지루한 영화",
    "A café, naïve and déjà vu", "great great film, no plot", "Was it good?  Two  spaces", "なに",
)  # fmt: skip


@functools.cache
def sample(shared_data: Path) -> tuple[str, ...]:
    """Some paragraphs of Wikipedia in English and in Korean."""
    texts: list[str] = []
    for name in ("wiki-en", "wiki-ko"):
        with lzma.open(shared_data / "text" / f"{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
            for _, line in zip(range(60), lines, strict=False):
                texts += [part[:400] for part in json.loads(line)["text"].split("\n")[:3] if part]
    return tuple(texts)


def trained(kind: str, texts: Iterable[str] = SOME_TEXT, size: int = 600) -> Tokenizer:
    """A tokenizer of a kind, learned from texts."""
    tokenizer = _byte_level(texts, size) if kind == "byte-level" else _metaspace(texts, size)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    return tokenizer


def write_folder(folder: Path, kind: str, tokenizer: Tokenizer) -> Path:
    """Write it as `transformers` does, with the class of a model that has such a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "RobertaTokenizer" if kind == "byte-level" else "XLMRobertaTokenizer",
        "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>",
        "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>",
        "model_max_length": 512,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def _byte_level(texts: Iterable[str], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    alphabet = ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=size, special_tokens=[*SPECIAL], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    sep, cls = (("</s>", 2), ("<s>", 0))
    tokenizer.post_processor = RobertaProcessing(sep, cls, add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    return tokenizer


def _metaspace(texts: Iterable[str], size: int) -> Tokenizer:
    """Without XLM-RoBERTa's normaliser, which is a table of SentencePiece's own."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = Sequence([WhitespaceSplit(), Metaspace()])  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.Metaspace()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = UnigramTrainer(
        vocab_size=size, special_tokens=[*SPECIAL], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    special = [("<s>", 0), ("</s>", 2)]
    pair = "<s> $A </s> </s> $B </s>"
    tokenizer.post_processor = TemplateProcessing("<s> $A </s>", pair, special)  # pyright: ignore[reportAttributeAccessIssue]
    return tokenizer
