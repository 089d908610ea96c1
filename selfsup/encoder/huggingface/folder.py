"""Model folders in Hugging Face's form: found, read, checked and written.

A text model's folder holds ``config.json``, ``model.safetensors``, the tokenizer's files and a
model card, ``README.md``. ``transformers`` loads the folders written here, and its folders of text
encoders (``selfsup/encoder/families/``) can be read here. A folder is written completely or not at
all. Image models: ``vit_folder``.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from selfsup.atomic_files import refuse_address, replacing_together
from selfsup.corpus.tokenizer.folder import (
    TOKENIZER_FILES,
    complete_tokenizer_config,
    load_tokenizer,
    write_whole,
)
from selfsup.corpus.tokenizer.wordpiece import vocabulary_size
from selfsup.corpus.tokenizer.words import marks_words
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.families import TEXT_FAMILIES, text_family
from selfsup.encoder.huggingface.config import read_config, sizes_in
from selfsup.encoder.huggingface.names import (
    NameTable,
    from_hugging_face,
    hugging_face_names,
    to_hugging_face,
    with_present_names,
)
from selfsup.encoder.huggingface.weights import WEIGHTS, read_weight_files, write_tensors
from selfsup.encoder.layers import initialize
from selfsup.errors import UserError

MODEL_IN_RUN = "model"
# Every weight under these prefixes must be in the folder. A pooler or a head may be missing; it is
# then initialised at random.
_INDISPENSABLE = {
    **{family.name: family.indispensable for family in TEXT_FAMILIES.values()},
    "ViT": ("vit.embeddings.", "vit.encoder.", "vit.layernorm."),
}


def resolve_model_folder(path: str | Path) -> Path:
    """The model folder at ``path``, or in the run folder at ``path``.

    Raises:
        UserError: there is neither.
    """
    refuse_address(str(path), "models are read from local folders only: copy it to one")
    path = Path(path)
    if (path / "config.json").is_file():
        return path
    if (path / MODEL_IN_RUN / "config.json").is_file():
        return path / MODEL_IN_RUN
    if (path / "run.yaml").is_file():
        raise UserError(f"{path}: this run has not ended and has no model yet")
    if path.is_dir():
        raise UserError(f"{path}: no model folder (no config.json) and no run that has one")
    raise UserError(f"{path}: no such folder: give a model folder or a run folder")


def write_model_folder(
    folder: Path,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    write_companions: Callable[[Path], None],
    model_card: str,
) -> None:
    """Write a model folder; other files in the folder stay.

    All files are first written to a temporary folder and flushed to the disk, then moved, so the
    old files are intact if writing fails. ``config.json`` is moved last: a new folder that has one
    is complete.

    Args:
        folder: created if it does not exist.
        state: weights under Hugging Face's names; saved in float32.
        config: content of ``config.json``.
        write_companions: writes a tokenizer's or an image processor's files to a folder.
        model_card: text of ``README.md``, in Markdown.

    Raises:
        UserError: the disk is full or read-only, or write permission is missing.
    """
    weights = {name: tensor.detach().cpu().float().contiguous() for name, tensor in state.items()}
    with replacing_together(folder, last="config.json") as saving:
        write_companions(saving)
        (saving / "README.md").write_text(model_card, encoding="utf-8")
        text = json.dumps(config, indent=2, allow_nan=False) + "\n"
        (saving / "config.json").write_text(text, encoding="utf-8")
        write_tensors(saving / WEIGHTS, weights, {"format": "pt"})


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """Read a text model's weights under current names, the encoder's with its family's prefix.

    Raises:
        UserError: a file is missing or damaged, or there is only a pickle; or as ``read_config``.
    """
    family = text_family(read_config(folder)[0])
    return with_present_names(read_weight_files(Path(folder)), family.prefix, family.parts)


def tokenizer_of_model(folder: Path, config: EncoderConfig) -> Tokenizer:
    """The tokenizer of a model folder; the model has an embedding for each of its ids.

    Raises:
        UserError: as ``load_tokenizer``, or the tokenizer has more ids, or is of a kind that cannot
            be used.
    """
    tokenizer = load_tokenizer(folder)
    kind = type(tokenizer.model).__name__
    if config.model_type != "bert" and not marks_words(tokenizer):
        raise UserError(
            f"{folder}: its tokenizer is of the kind {kind}; only WordPiece, byte-level BPE and "
            f"Unigram can be used with a {text_family(config).name}"
        )
    size = vocabulary_size(tokenizer)
    if size > config.vocab_size:
        raise UserError(
            f"{folder}: its tokenizer has {size} tokens, its model {config.vocab_size}: they do "
            "not belong together"
        )
    return tokenizer


def load_weights(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    table: NameTable,
    initializer_range: float,
    seed: int,
    folder: str | Path,
) -> tuple[str, ...]:
    """Load weights into a model; missing ones are initialised at random.

    Args:
        model: each of its parameters' modules is in ``table``.
        weights: as ``read_weights`` returns them, of any precision; others are left out.
        table: our names and Hugging Face's.
        initializer_range: standard deviation of missing weights.
        seed: determines missing weights.
        folder: where the weights come from, for messages.

    Returns:
        Hugging Face's names of the missing weights.

    Raises:
        UserError: weights of the encoder itself are missing, a shape differs from the config's, or
            values are not finite, or quantised.
    """
    parameters = dict(model.named_parameters())  # shared ones once, under their first name
    missing = _check_shapes(parameters, weights, table, folder)
    if missing:
        initialize(model, initializer_range, seed, truncated=False)  # as transformers would
    with torch.no_grad():
        for ours, value in from_hugging_face(weights, parameters, table).items():
            _check_values(value, f"{folder}: {' + '.join(hugging_face_names(ours, table))}")
            parameters[ours].copy_(value)
    return missing


def check_sizes(
    build_encoder: Callable[[], nn.Module],
    weights: Mapping[str, Tensor],
    table: NameTable,
    folder: str | Path,
) -> None:
    """Hold the sizes in ``config.json`` against the weights, before memory is taken for a model.

    Args:
        build_encoder: makes the encoder; called without memory for its weights.
        weights, table, folder: as for ``load_weights``; the table is of the encoder alone.

    Raises:
        UserError: a weight is missing or has another shape.
    """
    with torch.device("meta"):
        parameters = dict(build_encoder().named_parameters())
    _check_shapes(parameters, weights, table, folder)


def _check_shapes(
    parameters: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    table: NameTable,
    folder: str | Path,
) -> tuple[str, ...]:
    """Hugging Face's names of missing weights, none of them indispensable."""
    expected = to_hugging_face(parameters.items(), table)
    missing = tuple(sorted(expected.keys() - weights.keys()))
    _check_complete(missing, folder)
    for name, parameter in expected.items():
        if name in weights and weights[name].shape != parameter.shape:
            raise UserError(
                f"{folder}: {name} has sizes {tuple(weights[name].shape)}, "
                f"but by config.json they must be {tuple(parameter.shape)}"
            )
    return missing


def save_model(
    folder: str | Path,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    tokenizer_folder: str | Path,
    model_card: str,
) -> None:
    """Write a text model's folder.

    Args:
        folder, state, config, model_card: as for ``write_model_folder``.
        tokenizer_folder: where the tokenizer's files are copied from; may be ``folder`` itself.

    Raises:
        UserError: there is no tokenizer, or as for ``write_model_folder``.
    """
    tokenizer_folder, sizes = Path(tokenizer_folder), sizes_in(config, folder)
    files = [name for name in TOKENIZER_FILES if (tokenizer_folder / name).exists()]
    is_whole = {"tokenizer.json", "vocab.txt"} & set(files)
    if not is_whole and not {"vocab.json", "merges.txt"} <= set(files):
        raise UserError(
            f"{tokenizer_folder}: holds no tokenizer (neither tokenizer.json nor vocab.txt)"
        )

    def copy_tokenizer(destination: Path) -> None:
        for name in files:
            shutil.copyfile(tokenizer_folder / name, destination / name)
        if not is_whole:
            write_whole(load_tokenizer(tokenizer_folder), destination)
        complete_tokenizer_config(
            destination, sizes.longest_sequence, segments=sizes.type_vocab_size
        )

    write_model_folder(Path(folder), state, config, copy_tokenizer, model_card)


def _check_values(value: Tensor, what: str) -> None:
    if not value.is_floating_point():
        raise UserError(
            f"{what} holds {str(value.dtype).removeprefix('torch.')}, as quantised models do: save "
            "the model in float32 or bfloat16"
        )
    if not value.isfinite().all():
        raise UserError(f"{what} holds values that are not finite: its training has failed")


def _check_complete(missing: Iterable[str], folder: str | Path) -> None:
    for whole, parts in _INDISPENSABLE.items():
        lost = [name for name in missing if name.startswith(parts)]
        if lost:
            others = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
            raise UserError(f"{folder}: lacks {lost[0]}{others}: not a whole {whole}")
