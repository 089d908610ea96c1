"""``config.json``, in which Hugging Face's model folders keep a model's sizes."""

import json
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from selfsup.encoder.bert import ACTIVATIONS
from selfsup.encoder.config import EncoderConfig
from selfsup.errors import UserError

# Settings under which a model computes something that ours does not, and what they must be.
_ONLY_KNOWN = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}
_KINDS: dict[Any, tuple[type | tuple[type, ...], str]] = {
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
    str: (str, "a text"),
}


def read_config(folder: str | Path) -> tuple[EncoderConfig, dict[str, Any]]:
    """Read ``config.json``: the encoder's sizes, and all that it says.

    Raises:
        UserError: the folder or file is missing or damaged, or describes a model that is no BERT
            encoder as in the paper.
    """
    path = Path(folder) / "config.json"
    raw = _read_json(path)
    kind = raw.get("model_type")
    if kind != "bert":
        what = "names no model_type" if kind is None else f"describes a model of type {kind!r}"
        raise UserError(f"{path}: {what}; only BERT models ('bert') can be loaded")
    for name, known in _ONLY_KNOWN.items():
        value = raw.get(name, known)
        if value != known:
            raise UserError(f"{path}: {name} is {value!r}; only {known!r} can be loaded")
    values: dict[str, Any] = {}
    for field in fields(EncoderConfig):
        value = raw.get(field.name)
        if value is None:  # absent, or null as some checkpoints have pad_token_id
            if field.default is MISSING:
                raise UserError(f"{path}: {field.name} is missing")
            continue
        kind, kind_in_words = _KINDS[field.type]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise UserError(f"{path}: {field.name} must be {kind_in_words}, not {value!r}")
        values[field.name] = value
    if values.get("hidden_act", "gelu") not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise UserError(f"{path}: hidden_act is {values['hidden_act']!r}; known are {known}")
    try:
        return EncoderConfig(**values), raw
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def config_of(config: EncoderConfig, architecture: str) -> dict[str, Any]:
    """What ``config.json`` says of a BERT of ours, loaded by Hugging Face as ``architecture``."""
    return {
        "architectures": [architecture],
        "model_type": "bert",
        **asdict(config),
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "use_cache": True,
        "dtype": "float32",
    }


def _read_json(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder; a model folder holds config.json")
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path.parent}: no model folder (it holds no config.json)") from None
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read as JSON ({error}): copy or make it again"
        ) from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: not a model's configuration (no JSON object)")
    return raw
