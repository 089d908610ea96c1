"""Tokenizer folders in Hugging Face's form: save, load, and tell two apart.

A folder holds ``tokenizer.json``, ``tokenizer_config.json`` and ``vocab.txt``, as BERT's do, so
``transformers.AutoTokenizer`` loads it too.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.processors import BertProcessing

from selfsup.atomic_files import write_bytes, writing_to
from selfsup.corpus.tokenizer.added_tokens import add_tokens, read_added_tokens, vocabulary_size
from selfsup.corpus.tokenizer.wordpiece import SPECIAL_TOKENS, wordpiece_tokenizer
from selfsup.errors import UserError

_CONFIG = "tokenizer_config.json"
# What BERT's normaliser calls its rules, and what tokenizer_config.json does.
_RULES = {
    "lowercase": "do_lower_case",
    "strip_accents": "strip_accents",
    "handle_chinese_chars": "tokenize_chinese_chars",
}

# Classes of transformers that cut text as BERT's does, and those that say nothing of it.
_CUT_ALIKE = (
    "BertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "MobileBertTokenizer",
    "PreTrainedTokenizer",
    "TokenizersBackend",
)


def save_tokenizer(tokenizer: Tokenizer, folder: str | Path) -> None:
    """Write the three files of a tokenizer folder, each atomically.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    folder = Path(folder)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # One of several parts, which this file cannot tell of, stands in tokenizer.json.
    normalizer = json.loads(tokenizer.to_str())["normalizer"] or {}
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": normalizer.get("lowercase", False),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", False),
        "model_max_length": 512,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    tokens = _tokens_in_order(tokenizer)
    write_bytes(folder / "vocab.txt", "".join(f"{token}\n" for token in tokens).encode())
    write_bytes(folder / "tokenizer_config.json", (json.dumps(config, indent=2) + "\n").encode())
    write_bytes(folder / "tokenizer.json", tokenizer.to_str(pretty=True).encode())


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Load a tokenizer folder: ``tokenizer.json``, or ``vocab.txt`` with ``tokenizer_config.json``.

    Beside ``vocab.txt`` alone, ``added_tokens.json`` is read too.
    Truncation and padding, which a file may ask for, are off: whoever builds sequences cuts them.
    Where a file does not say what stands around a text, it is ``[CLS]`` and ``[SEP]``.

    Raises:
        UserError: the folder is missing, holds neither file, or cannot be read; or its
            ``vocab.txt`` is of a tokenizer that cuts words otherwise than BERT's.
    """
    folder = Path(folder)
    path = folder / "tokenizer.json"
    try:
        if path.exists():
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            _surround(tokenizer)
            return _as_configured(tokenizer, folder)
        path = folder / "vocab.txt"
        if path.exists():
            return _from_vocabulary_file(path)
    except Exception as error:  # tokenizers raises bare Exception
        raise UserError(f"{path}: not a tokenizer that can be read ({error})") from None
    within = folder / "tokenizer"
    if within.is_dir():
        raise UserError(f"{folder}: is no tokenizer, but holds one: name {within}")
    what = "holds no tokenizer.json or vocab.txt" if folder.is_dir() else "no such folder"
    raise UserError(f"{folder}: {what}: make a tokenizer with `selfsup train-tokenizer`")


def complete_tokenizer_config(folder: Path, longest: int) -> None:
    """Say in ``tokenizer_config.json`` what ``transformers`` would otherwise take for granted.

    It lets that file decide whether case is folded, and folds it where the file does not say; and
    it cuts texts at what the file says is longest.

    Args:
        folder: of a model.
        longest: how many tokens the model takes.
    """
    rules = _rules(load_tokenizer(folder))
    path = folder / _CONFIG
    config = _read_config(folder)
    said = {"tokenizer_class": "BertTokenizer", **{_RULES[name]: rules[name] for name in rules}}
    completed = {**said, **config} if rules else dict(config)
    if completed.get("model_max_length", 0) > longest:
        completed["model_max_length"] = longest
    if completed != config:
        path.write_bytes((json.dumps(completed, indent=2) + "\n").encode())


def tokenizer_sha256(tokenizer: Tokenizer) -> str:
    """A hash of what decides the ids: vocabulary, model and normaliser, not the files' layout.

    So do tokens that someone added: they are found in a text before it is cut into words.
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
    added = [token for token in parts["added_tokens"] if token["content"] not in SPECIAL_TOKENS]
    if added:
        identity["added_tokens"] = added
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _surround(tokenizer: Tokenizer) -> None:
    """Put ``[CLS]`` and ``[SEP]`` around texts if nothing is said of it, as after mere training."""
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    if tokenizer.post_processor is None and cls is not None and sep is not None:
        tokenizer.post_processor = BertProcessing(("[SEP]", sep), ("[CLS]", cls))


def _as_configured(tokenizer: Tokenizer, folder: Path) -> Tokenizer:
    """The tokenizer by the rules of ``tokenizer_config.json``, which go before its own.

    So does ``transformers``, but for tokenizers that name the class of no model.
    """
    rules, config = _rules(tokenizer), _read_config(folder)
    wanted = {name: config[key] for name, key in _RULES.items() if key in config}
    is_general = str(config.get("tokenizer_class")).startswith("PreTrainedTokenizer")
    if rules and not is_general and wanted.items() - rules.items():
        clean = json.loads(tokenizer.to_str())["normalizer"]["clean_text"]
        tokenizer.normalizer = BertNormalizer(clean_text=clean, **(rules | wanted))
    return tokenizer


def _rules(tokenizer: Tokenizer) -> dict[str, Any]:
    """How BERT's normaliser is set, by its own names; empty for another normaliser."""
    normalizer = json.loads(tokenizer.to_str())["normalizer"] or {}
    is_berts = normalizer.get("type") == "BertNormalizer"
    return {name: normalizer[name] for name in _RULES} if is_berts else {}


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / _CONFIG
    return json.loads(path.read_bytes()) if path.exists() else {}


def _tokens_in_order(tokenizer: Tokenizer) -> list[str]:
    """The token of each id; an id that no token has gets a name that no text can hold."""
    numbers = range(vocabulary_size(tokenizer))
    return [tokenizer.id_to_token(number) or _nameless(number) for number in numbers]


def _nameless(number: int) -> str:
    return f"[no token {number}]"


def _from_vocabulary_file(path: Path) -> Tokenizer:
    tokens = path.read_text(encoding="utf-8").split("\n")
    if tokens and not tokens[-1]:
        tokens.pop()
    tokens = [token.rstrip("\r") for token in tokens]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    # Of a token that stands there twice, the last place counts, as in transformers.
    repeated = set(range(len(tokens))) - set(vocabulary.values())
    vocabulary |= {_nameless(index): index for index in repeated}
    missing = [token for token in SPECIAL_TOKENS if token not in vocabulary]
    if missing:
        raise ValueError(f"{', '.join(missing)} not in the vocabulary")
    config = _read_config(path.parent)
    _refuse_other_cutting(path.parent, config)
    tokenizer = wordpiece_tokenizer(
        vocabulary,
        lowercase=config.get("do_lower_case", True),
        strip_accents=config.get("strip_accents"),
        split_chinese_characters=config.get("tokenize_chinese_chars", True),
    )
    add_tokens(tokenizer, read_added_tokens(path.parent, config))
    return tokenizer


def _refuse_other_cutting(folder: Path, config: dict[str, Any]) -> None:
    """Refuse the vocabulary of a tokenizer that cuts words otherwise, of Japanese for instance.

    Raises:
        ValueError: by ``tokenizer_config.json`` or ``config.json`` it is none of BERT's.
    """
    of_model = folder / "config.json"
    model = json.loads(of_model.read_bytes()) if of_model.exists() else {}
    named = config.get("tokenizer_class") or model.get("tokenizer_class") or "BertTokenizer"
    cuts = (
        config.get("word_tokenizer_type", "basic"),
        config.get("subword_tokenizer_type", "wordpiece"),
    )
    if named.removesuffix("Fast") not in _CUT_ALIKE or cuts != ("basic", "wordpiece"):
        raise ValueError(
            f"its tokenizer is a {named}, which cuts words otherwise than BERT's; without a "
            "tokenizer.json only BERT's own can be used"
        )
