"""``config.json``: the sizes of a BERT or a ViT in a Hugging Face model folder."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from selfsup.encoder.config import EncoderConfig, VitConfig
from selfsup.encoder.layers import ACTIVATIONS
from selfsup.errors import UserError
from selfsup.structured_files import check, read_json, shown

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
            raise UserError(f"{path}: {name} is {shown(value)}; only {known!r} can be loaded")
    # Null is as good as absent: some checkpoints have it as pad_token_id.
    given = {name: value for name, value in raw.items() if value is not None}
    config = check(given, config_class, path)
    if config.hidden_act not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise UserError(f"{path}: hidden_act is {shown(config.hidden_act)}; known are {known}")
    return config, raw


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
    what = "names no model_type" if kind is None else f"describes a model of type {shown(kind)}"
    fix = f': if it is one, add "model_type": "{wanted}"' if kind is None else ""
    return f"{what}; only {_NAMES[wanted]} models ({wanted!r}) can be loaded{fix}"


def _read_config_file(folder: Path) -> tuple[Path, dict[str, Any]]:
    path = folder / "config.json"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a model folder holds config.json")
    if not path.exists():
        raise UserError(f"{folder}: no model folder (it holds no config.json)")
    return path, read_json(path, dict[str, Any])
