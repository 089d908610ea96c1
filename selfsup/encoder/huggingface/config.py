"""``config.json``: the sizes of a BERT or a ViT in a Hugging Face model folder."""

import json
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from selfsup.encoder.config import EncoderConfig, VitConfig
from selfsup.encoder.layers import ACTIVATIONS
from selfsup.errors import UserError

_NAMES = {"bert": "BERT", "vit": "ViT"}
_INPUTS = {"bert": "texts", "vit": "images"}
# Settings that must have these values if they are in the file: our models compute nothing else.
_SUPPORTED: dict[str, dict[str, Any]] = {
    "bert": {
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
    },
    "vit": {"qkv_bias": True, "num_channels": 3},
}
_KINDS: dict[Any, tuple[type | tuple[type, ...], str]] = {
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
    str: (str, "a text"),
    bool: (bool, "true or false"),
}
Config = TypeVar("Config", EncoderConfig, VitConfig)


def read_config(folder: str | Path) -> tuple[EncoderConfig, dict[str, Any]]:
    """Read ``config.json``: the sizes of a BERT, and everything in the file.

    Raises:
        UserError: the folder or file is missing or damaged, or describes a model that is not a BERT
            encoder as in the paper.
    """
    return _read_config_as(EncoderConfig, "bert", Path(folder))


def read_vit_config(folder: str | Path) -> tuple[VitConfig, dict[str, Any]]:
    """As ``read_config``, for a ViT."""
    return _read_config_as(VitConfig, "vit", Path(folder))


def _read_config_as(
    config_class: type[Config], model_type: str, folder: Path
) -> tuple[Config, dict[str, Any]]:
    path, raw = _read_config_file(folder)
    kind = raw.get("model_type")
    if kind != model_type:
        raise UserError(f"{path}: {_refusal(kind, model_type)}")
    for name, known in _SUPPORTED[model_type].items():
        value = raw.get(name, known)
        if value != known:
            raise UserError(f"{path}: {name} is {value!r}; only {known!r} can be loaded")
    values: dict[str, Any] = {}
    for field in fields(config_class):
        value = raw.get(field.name)
        if value is None:  # absent, or null as some checkpoints have pad_token_id
            if field.default is MISSING:
                raise UserError(f"{path}: {field.name} is missing")
            continue
        kind, kind_in_words = _KINDS[field.type]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise UserError(f"{path}: {field.name} must be {kind_in_words}, not {value!r}")
        values[field.name] = value
    if values.get("hidden_act", "gelu") not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise UserError(f"{path}: hidden_act is {values['hidden_act']!r}; known are {known}")
    try:
        return config_class(**values), raw
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def read_model_type(folder: str | Path) -> str:
    """The ``model_type`` in ``config.json``: "bert" for texts, "vit" for images, or another.

    "" if the file has none.

    Raises:
        UserError: the folder or file is missing or damaged.
    """
    _, raw = _read_config_file(Path(folder))
    return str(raw.get("model_type") or "")


def config_of(config: EncoderConfig | VitConfig, architecture: str) -> dict[str, Any]:
    """The content of ``config.json`` for a model that Hugging Face loads as ``architecture``."""
    if isinstance(config, EncoderConfig):
        kind = "bert"
        more = {
            "position_embedding_type": "absolute",
            "tie_word_embeddings": True,
            "use_cache": True,
        }
    else:
        kind, more = "vit", {"encoder_stride": config.patch_size}
    return {
        "architectures": [architecture],
        "model_type": kind,
        **asdict(config),
        **more,
        "dtype": "float32",
    }


def _refusal(kind: Any, wanted: str) -> str:
    if isinstance(kind, str) and kind in _INPUTS:
        return (
            f"describes a model of {_INPUTS[kind]} ({kind!r}), "
            f"but one of {_INPUTS[wanted]} ({wanted!r}) is needed here"
        )
    what = "names no model_type" if kind is None else f"describes a model of type {kind!r}"
    fix = f': if it is one, add "model_type": "{wanted}"' if kind is None else ""
    return f"{what}; only {_NAMES[wanted]} models ({wanted!r}) can be loaded{fix}"


def _read_config_file(folder: Path) -> tuple[Path, dict[str, Any]]:
    path = folder / "config.json"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a model folder holds config.json")
    if not path.exists():
        raise UserError(f"{folder}: no model folder (it holds no config.json)")
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise UserError(f"{path}: not a model's configuration (no JSON object)")
    return path, raw


def read_json(path: Path) -> Any:
    """What a file of a model folder holds.

    Raises:
        UserError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read as JSON ({error}): copy or make it again"
        ) from None
