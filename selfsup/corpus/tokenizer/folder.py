"""Tokenizer folders in Hugging Face's form: save, load and identify tokenizers.

A folder holds ``tokenizer.json`` and ``tokenizer_config.json``, and with WordPiece ``vocab.txt``,
as BERT's do, so ``transformers.AutoTokenizer`` loads it too.
"""

import hashlib
import json
import shlex
import sys
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.processors import BertProcessing

from selfsup.atomic_files import replacing_together
from selfsup.corpus.tokenizer.byte_level import byte_level_bpe
from selfsup.corpus.tokenizer.wordpiece import (
    SPECIAL_TOKENS,
    before_compose_and_cut,
    compose_and_cut,
    vocabulary_size,
    wordpiece_tokenizer,
)
from selfsup.corpus.tokenizer.words import SPECIAL_PARTS, special_token
from selfsup.errors import UserError
from selfsup.special_files import refuse_special
from selfsup.structured_files import Count, read_json

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)
_CONFIG = "tokenizer_config.json"
# Says that a tokenizer of vocab.txt alone has the rules of compose_and_cut.
_COMPOSES = "selfsup_composes_and_cuts"
# With BertTokenizer, transformers would replace the rules in tokenizer.json by BERT's.
_ANY_RULES = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    _COMPOSES: True,
}
# How tokenizer_config.json may describe an added token.
_TOKEN_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
# The rules of BERT's normaliser: their names there and in tokenizer_config.json.
_RULES = {
    "lowercase": "do_lower_case",
    "strip_accents": "strip_accents",
    "handle_chinese_chars": "tokenize_chinese_chars",
}

# Models of SentencePiece, which this package does not read.
_SENTENCEPIECE = ("sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model")
# Classes of transformers that split text as BERT's does, and general ones.
_BERT_LIKE = (
    "BertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "MobileBertTokenizer",
    "PreTrainedTokenizer",
    "TokenizersBackend",
)


class _AddedToken(TypedDict):
    """A token in ``added_tokens_decoder``; the flags are those of ``AddedToken``."""

    content: str
    single_word: NotRequired[bool]
    lstrip: NotRequired[bool]
    rstrip: NotRequired[bool]
    normalized: NotRequired[bool]
    special: NotRequired[bool]


class _ModelConfig(TypedDict, total=False):
    """What ``config.json`` may say of the tokenizer."""

    tokenizer_class: str | None


class _TokenizerConfig(_ModelConfig, total=False):
    """What ``tokenizer_config.json`` may say that is used here."""

    do_lower_case: bool
    strip_accents: bool | None
    tokenize_chinese_chars: bool
    model_max_length: float | None
    added_tokens_decoder: dict[str, _AddedToken] | None
    word_tokenizer_type: str
    subword_tokenizer_type: str
    selfsup_composes_and_cuts: bool


def save_tokenizer(tokenizer: Tokenizer, folder: str | Path) -> None:
    """Write the files of a tokenizer folder, all of them or none.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    parts = json.loads(tokenizer.to_str())
    if parts["model"]["type"] != "WordPiece":
        _save_other(tokenizer, Path(folder))
        return
    as_berts = before_compose_and_cut(parts)
    # Another normaliser of several parts is described by tokenizer.json only.
    normalizer = as_berts["normalizer"] or {}
    config = {
        **({"tokenizer_class": "BertTokenizer"} if as_berts is parts else _ANY_RULES),
        "do_lower_case": normalizer.get("lowercase", False),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", False),
        "model_max_length": 512,
        # pad_token, unk_token and so on
        **{f"{token.strip('[]').lower()}_token": token for token in SPECIAL_TOKENS},
    }
    tokens = _tokens_in_order(tokenizer)
    with replacing_together(Path(folder), last="tokenizer.json") as saving:
        text = json.dumps(config, indent=2, allow_nan=False) + "\n"
        (saving / "vocab.txt").write_bytes("".join(f"{token}\n" for token in tokens).encode())
        (saving / _CONFIG).write_bytes(text.encode())
        (saving / "tokenizer.json").write_bytes(tokenizer.to_str(pretty=True).encode())


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Load a tokenizer folder: ``tokenizer.json``, or a vocabulary with ``tokenizer_config.json``.

    The vocabulary is WordPiece's ``vocab.txt``, with which ``added_tokens.json`` is read too, or
    ``vocab.json`` and ``merges.txt`` of a byte-level BPE. Truncation and padding, which a
    file may ask for, are switched off: the code that builds sequences does both. If a file has no
    post-processor, texts are put between ``[CLS]`` and ``[SEP]``.

    Raises:
        UserError: the folder is missing, has neither file, or cannot be read; or its ``vocab.txt``
            belongs to a tokenizer that splits words differently from BERT's; or a pipe or a device
            has the name of one of its files, as all of them may be copied later.
    """
    folder = Path(folder)
    for name in TOKENIZER_FILES:
        refuse_special(folder / name)
    path = folder / "tokenizer.json"
    try:
        if path.exists():
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
            model = tokenizer.model
            if isinstance(model, WordPiece) and model.token_to_id(model.unk_token) is None:
                raise ValueError(f"its vocabulary lacks {model.unk_token}, for unknown words")
            tokenizer.no_truncation()
            tokenizer.no_padding()
            cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
            if tokenizer.post_processor is None and cls is not None and sep is not None:
                tokenizer.post_processor = BertProcessing(("[SEP]", sep), ("[CLS]", cls))
            return _as_configured(tokenizer, folder)
        path = folder / "vocab.txt"
        if path.exists():
            return _from_vocabulary_file(path)
        path = folder / "merges.txt"
        if path.exists() and (folder / "vocab.json").exists():
            return byte_level_bpe(folder)
    except UserError:
        raise
    except Exception as error:  # tokenizers raises bare Exception
        raise UserError(f"{path}: not a tokenizer that can be read ({error})") from None
    within = folder / "tokenizer"
    if within.is_dir():
        raise UserError(f"{folder}: is no tokenizer, but holds one: name {within}")
    for path in (folder / name for name in _SENTENCEPIECE):
        if path.exists():
            raise UserError(f"{path}: can be read after a conversion: {_conversion(folder)}")
    what = "holds no tokenizer.json or vocab.txt" if folder.is_dir() else "no such folder"
    raise UserError(f"{folder}: {what}: make a tokenizer with `selfsup train-tokenizer`")


def write_whole(tokenizer: Tokenizer, folder: Path) -> None:
    """Write ``tokenizer.json`` to a folder that is being made."""
    (folder / "tokenizer.json").write_bytes(tokenizer.to_str(pretty=True).encode())


def complete_tokenizer_config(folder: Path, longest: int, segments: int = 2) -> None:
    """Write into ``tokenizer_config.json`` what ``transformers`` would otherwise assume.

    ``transformers`` folds case unless that file says otherwise, and truncates texts to the length
    that the file states: at most ``longest`` tokens, as many as the model takes. It would give a
    model with fewer than two ``segments`` the numbers of two.
    """
    tokenizer = load_tokenizer(folder)
    rules, parts = _rules(tokenizer), json.loads(tokenizer.to_str())
    path, config = folder / _CONFIG, _read_config(folder)
    said: dict[str, Any] = {}
    if before_compose_and_cut(parts) is not parts:
        said = _ANY_RULES
    elif rules:
        said = {"tokenizer_class": "BertTokenizer", **{_RULES[name]: rules[name] for name in rules}}
    completed = {**said, **config}
    if (completed.get("model_max_length") or 0) > longest:
        completed["model_max_length"] = longest
    if segments < 2:
        completed["model_input_names"] = ["input_ids", "attention_mask"]
    if completed != config:
        path.write_bytes((json.dumps(completed, indent=2, allow_nan=False) + "\n").encode())


def tokenizer_sha256(tokenizer: Tokenizer) -> str:
    """A hash of what decides the ids of a text, independent of the files' layout.

    That is the vocabulary, the model, the normaliser, the pre-tokenizer and added tokens.
    """
    parts = json.loads(tokenizer.to_str())
    normalizer = parts["normalizer"] or {}
    if normalizer.get("type") == "BertNormalizer" and normalizer["strip_accents"] is None:
        normalizer["strip_accents"] = normalizer["lowercase"]
    identity = {
        "vocabulary": _tokens_in_order(tokenizer),
        "model": {key: value for key, value in parts["model"].items() if key != "vocab"},
        "normalizer": normalizer,
        "pre_tokenizer": parts["pre_tokenizer"],
    }
    if parts["model"]["type"] == "Unigram":
        identity["scores"] = [score for _, score in parts["model"]["vocab"]]
    added = [token for token in parts["added_tokens"] if token["content"] not in SPECIAL_TOKENS]
    if added:
        identity["added_tokens"] = added
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _save_other(tokenizer: Tokenizer, folder: Path) -> None:
    """Write a tokenizer that is not WordPiece; ``tokenizer.json`` holds all its rules."""
    special = {f"{part}_token": special_token(tokenizer, part) for part in SPECIAL_PARTS}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 512,
        **{name: token for name, token in special.items() if token is not None},
    }
    with replacing_together(folder, last="tokenizer.json") as saving:
        text = json.dumps(config, indent=2, allow_nan=False) + "\n"
        (saving / _CONFIG).write_bytes(text.encode())
        write_whole(tokenizer, saving)


def _conversion(folder: Path) -> str:
    code = (
        "import sys, transformers as t; "
        "t.AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])"
    )
    return shlex.join([sys.executable, "-c", code, str(folder)])


def _as_configured(tokenizer: Tokenizer, folder: Path) -> Tokenizer:
    """Apply the rules of ``tokenizer_config.json``, which override the tokenizer's own.

    ``transformers`` does the same, except for tokenizers of a class that belongs to no model.
    """
    rules, config = _rules(tokenizer), _read_config(folder)
    wanted = {name: config[key] for name, key in _RULES.items() if key in config}
    is_general = str(config.get("tokenizer_class")).startswith("PreTrainedTokenizer")
    if rules and not is_general and wanted.items() - rules.items():
        clean = json.loads(tokenizer.to_str())["normalizer"]["clean_text"]
        tokenizer.normalizer = BertNormalizer(clean_text=clean, **(rules | wanted))
    return tokenizer


def _rules(tokenizer: Tokenizer) -> dict[str, Any]:
    """The settings of BERT's normaliser, by its own names; empty for another normaliser."""
    normalizer = json.loads(tokenizer.to_str())["normalizer"] or {}
    is_berts = normalizer.get("type") == "BertNormalizer"
    return {name: normalizer[name] for name in _RULES} if is_berts else {}


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / _CONFIG
    return read_json(path, _TokenizerConfig) if path.exists() else {}


def _tokens_in_order(tokenizer: Tokenizer) -> list[str]:
    """The token of each id; an unused id gets a placeholder that is in no text."""
    numbers = range(vocabulary_size(tokenizer))
    return [tokenizer.id_to_token(number) or _placeholder(number) for number in numbers]


def _placeholder(number: int) -> str:
    return f"[no token {number}]"


def _from_vocabulary_file(path: Path) -> Tokenizer:
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    tokens = [line.rstrip("\r") for line in lines]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    # If a token is listed twice, the last line counts, as in transformers.
    repeated = set(range(len(tokens))) - set(vocabulary.values())
    vocabulary |= {_placeholder(index): index for index in repeated}
    missing = [token for token in SPECIAL_TOKENS if token not in vocabulary]
    if missing:
        raise ValueError(f"{', '.join(missing)} not in the vocabulary")
    config = _read_config(path.parent)
    _check_bert_like(path.parent, config)
    tokenizer = wordpiece_tokenizer(
        vocabulary,
        lowercase=config.get("do_lower_case", True),
        strip_accents=config.get("strip_accents"),
        split_chinese_characters=config.get("tokenize_chinese_chars", True),
    )
    if config.get(_COMPOSES):
        compose_and_cut(tokenizer)
    for number, token in _read_added_tokens(path.parent, config):
        tokenizer.add_tokens([token])  # a token that the tokenizer already has stays unchanged
        found = tokenizer.token_to_id(token.content)
        if found != number:
            raise ValueError(
                f"the added token {token.content!r} has the id {number}, but the vocabulary leaves "
                f"it {found}: copy both files from the same model"
            )
    return tokenizer


def _read_added_tokens(folder: Path, config: dict[str, Any]) -> list[tuple[int, AddedToken]]:
    """The tokens added to a bare ``vocab.txt`` and their ids, in order.

    Like ``transformers``, take them from ``tokenizer_config.json`` if it lists them, else from
    ``added_tokens.json``. The latter holds ids alone; its tokens are then normalised as texts are,
    so that a tokenizer that folds case finds them in any case.
    """
    described = config.get("added_tokens_decoder")
    if described is None:
        path = folder / "added_tokens.json"
        numbers = read_json(path, dict[str, Count]) if path.exists() else {}
        tokens = {number: AddedToken(token, normalized=True) for token, number in numbers.items()}
    else:
        tokens = {
            int(number): AddedToken(
                entry["content"], **{flag: entry[flag] for flag in _TOKEN_FLAGS if flag in entry}
            )
            for number, entry in described.items()
        }
    return sorted(tokens.items(), key=lambda item: item[0])


def _check_bert_like(folder: Path, config: dict[str, Any]) -> None:
    """Raise a ``ValueError`` for a tokenizer that splits words differently, as for Japanese."""
    path = folder / "config.json"
    model = read_json(path, _ModelConfig) if path.exists() else {}
    named = config.get("tokenizer_class") or model.get("tokenizer_class") or "BertTokenizer"
    cuts = (
        config.get("word_tokenizer_type", "basic"),
        config.get("subword_tokenizer_type", "wordpiece"),
    )
    if named.removesuffix("Fast") not in _BERT_LIKE or cuts != ("basic", "wordpiece"):
        raise ValueError(
            f"its tokenizer is a {named}, which cuts words otherwise than BERT's; without a "
            "tokenizer.json only BERT's own can be used"
        )
