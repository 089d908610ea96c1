"""What a pre-trained model would put in the place of ``[MASK]``."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from selfsup.encoder.huggingface.config import read_config
from selfsup.encoder.huggingface.folder import resolve_model_folder, tokenizer_of_model
from selfsup.encoder.packing import Packing
from selfsup.errors import UserError
from selfsup.pretraining.text.model import load_pretraining
from selfsup.training.compute import Compute, choose_compute

MASK = "[MASK]"


def fill_mask(
    model_folder: str | Path, text: str, top: int = 5, compute: Compute | None = None
) -> list[dict[str, Any]]:
    """The most probable tokens at each ``[MASK]``, each predicted with the others left hidden.

    Args:
        model_folder: of a pre-trained model with a masked-LM head, or the run that made one.
        text: holds ``[MASK]`` once or more.
        top: how many candidates.
        compute: device and precision; this machine's device in float32 if None.

    Returns:
        for each mask ``{"text", "candidates": [{"token", "probability", "sequence"}, …]}``, best
        first; ``sequence`` is the text with this mask filled in.

    Raises:
        UserError: the text holds no mask or is too long, or the model has no masked-LM head.
    """
    compute = compute or choose_compute("auto", "float32", None)
    folder = resolve_model_folder(model_folder)
    _check_mask(text)
    config, _ = read_config(folder)
    tokenizer = tokenizer_of_model(folder, config)
    encoding = tokenizer.encode(text)
    masked = [place for place, token in enumerate(encoding.tokens) if token == MASK]
    if len(masked) != text.count(MASK):
        raise UserError(f"{folder}: its tokenizer does not know {MASK}: is it a BERT's tokenizer?")
    probabilities = _probabilities(folder, encoding.ids, encoding.type_ids, masked, compute)
    return [
        {"text": text, "candidates": _candidates(text, number, row, top, tokenizer)}
        for number, row in enumerate(probabilities)
    ]


def _check_mask(text: str) -> None:
    if MASK in text:
        return
    if MASK.lower() in text.lower():
        raise UserError(f"TEXT: write {MASK} in capitals where a word is to be filled in")
    raise UserError(f"TEXT holds no {MASK}: put one where a word is to be filled in")


def _probabilities(
    folder: Path, ids: list[int], type_ids: list[int], masked: list[int], compute: Compute
) -> np.ndarray:
    """The distribution over the vocabulary at each mask, float32 [M, V]."""
    model, report = load_pretraining(folder, ["mlm"])
    lacking = [name for name in report.missing if name.startswith("cls.predictions")]
    if lacking:
        raise UserError(
            f"{folder}: this model has no masked-LM head (no {lacking[0]}): give one that was "
            "pre-trained with the objective mlm"
        )
    longest = model.encoder.config.max_position_embeddings
    if len(ids) > longest:
        raise UserError(
            f"TEXT is {len(ids)} tokens long, and the model takes {longest}: shorten it"
        )
    model.to(compute.device)
    head = model.heads["mlm"]
    with torch.inference_mode(), compute.autocast():
        encoded = model.encoder(
            torch.tensor(ids, device=compute.device),
            torch.tensor(type_ids, device=compute.device),
            Packing.from_lengths(torch.tensor([len(ids)])).to(compute.device),
        )
        rows = torch.tensor(masked, device=compute.device)
        scores = head(encoded.last_hidden_state.index_select(0, rows))
    return scores.float().softmax(-1).cpu().numpy()


def _candidates(
    text: str, number: int, probabilities: np.ndarray, top: int, tokenizer: Tokenizer
) -> list[dict[str, Any]]:
    """The best tokens for the mask ``number`` of the text, probabilities float32 [V]."""
    best = np.argsort(-probabilities, kind="stable")[:top]
    tokens = [tokenizer.id_to_token(int(token)) or "" for token in best]
    return [
        {
            "token": token,
            "probability": float(probabilities[place]),
            "sequence": _filled(text, number, token),
        }
        for token, place in zip(tokens, best, strict=True)
    ]


def _filled(text: str, number: int, token: str) -> str:
    """The text with one of its masks replaced; a piece ("##ing") joins the word before it."""
    parts = text.split(MASK)
    before, after = MASK.join(parts[: number + 1]), MASK.join(parts[number + 1 :])
    if token.startswith("##"):
        return before.rstrip() + token.removeprefix("##") + after
    return before + token + after
