"""Byte-level BPE from ``vocab.json`` and ``merges.txt``, as RoBERTa and its relatives have it.

Every text has tokens: a character that is not in the vocabulary is written in its bytes (Radford et
al. 2019, "GPT-2", §2.2).
"""

from pathlib import Path
from typing import Any, TypedDict

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import RobertaProcessing

from selfsup.structured_files import Count, read_json

_MERGES = 2**23  # more than any vocabulary has tokens


class _Config(TypedDict, total=False):
    """What ``tokenizer_config.json`` may say that is used here."""

    add_prefix_space: bool
    trim_offsets: bool


def byte_level_bpe(folder: Path) -> Tokenizer:
    """The tokenizer of a folder with these two files.

    Raises:
        UserError: ``vocab.json`` is damaged.
        ValueError: ``merges.txt`` is, or the vocabulary lacks RoBERTa's special tokens.
    """
    vocabulary: dict[str, int] = read_json(folder / "vocab.json", dict[str, Count])
    config: dict[str, Any] = {}
    if (folder / "tokenizer_config.json").exists():
        config = read_json(folder / "tokenizer_config.json", _Config)
    special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    missing = [token for token in special if token not in vocabulary]
    if missing:
        raise ValueError(f"{', '.join(missing)} not in vocab.json, as RoBERTa's tokenizer has them")
    adds_space = config.get("add_prefix_space", False)
    tokenizer = Tokenizer(BPE(vocabulary, _merges(folder / "merges.txt", vocabulary)))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=adds_space)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.post_processor = RobertaProcessing(
        ("</s>", vocabulary["</s>"]),
        ("<s>", vocabulary["<s>"]),
        trim_offsets=config.get("trim_offsets", True),
        add_prefix_space=adds_space,
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special[:-1]])
    # The space before a masked word belongs to the word.
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    return tokenizer


def _merges(path: Path, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    merges = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#version") or not line.strip():
                continue
            pair = line.rstrip("\n").split(" ")
            if len(pair) != 2 or not {*pair, "".join(pair)} <= vocabulary.keys():
                raise ValueError(f"line {number} joins no two tokens of vocab.json")
            if number > _MERGES:
                raise ValueError("too many lines")
            merges.append((pair[0], pair[1]))
    return merges
