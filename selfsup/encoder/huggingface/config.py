"""``config.json``: the sizes of a text encoder or a ViT in a Hugging Face model folder."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfsup.encoder.config import EncoderConfig, VitConfig
from selfsup.encoder.families import TEXT_FAMILIES, text_family
from selfsup.encoder.layers import ACTIVATIONS
from selfsup.errors import UserError
from selfsup.structured_files import check, read_json, shown

_VIT_SUPPORTED = {"qkv_bias": True, "num_channels": 3}


def read_config(folder: str | Path) -> tuple[EncoderConfig, dict[str, Any]]:
    """Read ``config.json``: the sizes of a text encoder, and everything in the file.

    Raises:
        UserError: the folder or file is missing or damaged, or describes a model of no known
            family, or one with settings that cannot be computed.
    """
    path, raw = _read_config_file(Path(folder))
    return sizes_in(raw, path), raw


def sizes_in(raw: Mapping[str, Any], where: object) -> EncoderConfig:
    """The sizes of a text encoder in what ``config.json`` holds.

    Raises:
        UserError: as ``read_config``; the message names ``where``.
    """
    kind = raw.get("model_type")
    family = TEXT_FAMILIES.get(kind) if isinstance(kind, str) else None
    if family is None:
        raise UserError(f"{where}: {_refusal(kind, 'texts')}")
    _check_supported(raw, family.supported, where)
    names = family.names_in_config()
    # Null is as good as absent: some checkpoints have it as pad_token_id.
    given = {ours: raw[name] for ours, name in names.items() if raw.get(name) is not None}
    try:
        config = check(given, family.config, where)
    except UserError as error:
        said = str(error).removeprefix(str(where))
        for ours, name in names.items():
            said = re.sub(rf"\b{ours}\b", name, said)
        raise UserError(f"{where}{said}") from None
    _check_activation(config.hidden_act, where)
    return config


def read_vit_config(folder: str | Path) -> tuple[VitConfig, dict[str, Any]]:
    """As ``read_config``, for a ViT."""
    path, raw = _read_config_file(Path(folder))
    kind = raw.get("model_type")
    if kind != "vit":
        raise UserError(f"{path}: {_refusal(kind, 'images')}")
    _check_supported(raw, _VIT_SUPPORTED, path)
    config = check(
        {name: value for name, value in raw.items() if value is not None}, VitConfig, path
    )
    _check_activation(config.hidden_act, path)
    return config, raw


def _check_supported(raw: Mapping[str, Any], supported: Mapping[str, Any], where: object) -> None:
    for name, known in supported.items():
        value = raw.get(name, known)
        if value != known:
            raise UserError(f"{where}: {name} is {shown(value)}; only {known!r} can be loaded")


def _check_activation(name: str, where: object) -> None:
    if name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise UserError(f"{where}: hidden_act is {shown(name)}; known are {known}")


def read_model_type(folder: str | Path) -> str:
    """The ``model_type`` in ``config.json``: "bert", "vit", or another.

    "" if the file has none.

    Raises:
        UserError: the folder or file is missing or damaged.
    """
    _, raw = _read_config_file(Path(folder))
    return str(raw.get("model_type") or "")


def config_of(config: EncoderConfig | VitConfig, architecture: str) -> dict[str, Any]:
    """The content of ``config.json`` for a model that Hugging Face loads as ``architecture``."""
    entries = asdict(config)
    if isinstance(config, EncoderConfig):
        family = text_family(config)
        kind, more = family.model_type, family.written
        entries = {name: entries[ours] for ours, name in family.names_in_config().items()}
    else:
        kind, more = "vit", {"encoder_stride": config.patch_size}
    return {
        "architectures": [architecture],
        "model_type": kind,
        **entries,
        **more,
        "dtype": "float32",
    }


def architecture_of(config: EncoderConfig | VitConfig, head: str) -> str:
    """The class of ``transformers`` for an encoder with a head, such as ``ForMaskedLM``."""
    return ("ViT" if isinstance(config, VitConfig) else text_family(config).classes) + head


def _refusal(kind: Any, wanted: str) -> str:
    types = {"texts": [*TEXT_FAMILIES], "images": ["vit"]}
    listed = ", ".join(map(repr, types[wanted]))
    for inputs, known in types.items():
        if kind in known:
            return (
                f"describes a model of {inputs} ({kind!r}), "
                f"but one of {wanted} ({listed}) is needed here"
            )
    what = "names no model_type" if kind is None else f"describes a model of type {shown(kind)}"
    fix = f': if it is one, add "model_type": "{types[wanted][0]}"' if kind is None else ""
    return f"{what}; only models of {listed} can be loaded{fix}"


def _read_config_file(folder: Path) -> tuple[Path, dict[str, Any]]:
    path = folder / "config.json"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a model folder holds config.json")
    if not path.exists():
        raise UserError(f"{folder}: no model folder (it holds no config.json)")
    return path, read_json(path, dict[str, Any])
