"""``selfsup fill-mask``: the most probable tokens for each ``[MASK]`` of a text."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from selfsup.corpus.tokenizer.words import kind_of, special_token
from selfsup.encoder.families import text_family
from selfsup.encoder.huggingface.config import read_config
from selfsup.encoder.huggingface.folder import resolve_model_folder, tokenizer_of_model
from selfsup.encoder.packing import Packing
from selfsup.errors import UserError
from selfsup.inference.scoring import not_finite
from selfsup.pretraining.text.model import load_pretraining
from selfsup.settings.inference import FillMaskSettings
from selfsup.training.compute import Compute, choose_compute

# How a mask is to be written, where only its case is wrong.
_CASE = {"[MASK]": "in capitals", "<mask>": "in small letters"}


def fill_mask_command(settings: FillMaskSettings) -> dict[str, Any]:
    """Run the command: ``text``, and ``masks`` as ``fill_mask`` returns them."""
    # float32 by default, since candidates may have almost equal probabilities.
    precision = "float32" if settings.precision == "auto" else settings.precision
    compute = choose_compute(settings.device, precision, settings.threads)
    masks = fill_mask(settings.model, settings.text, settings.top, compute)
    return {"text": settings.text, "masks": masks}


def fill_mask(
    model_folder: str | Path, text: str, top: int = 5, compute: Compute | None = None
) -> list[dict[str, Any]]:
    """The most probable tokens at each ``[MASK]``; the other masks stay in the text.

    The mask is written as the model's tokenizer calls it: ``<mask>`` with RoBERTa's.

    Args:
        model_folder: a pre-trained model with a masked-LM head, or a run folder.
        text: contains the mask at least once.
        top: how many candidates.
        compute: device and precision; the default device in float32 if None.

    Returns:
        for each mask ``{"text", "candidates": [{"token", "probability", "sequence"}, …]}``, best
        first; ``sequence`` is the text with this mask filled in.

    Raises:
        UserError: the text has no mask or is too long, the model has no masked-LM head, or its
            scores are not finite.
    """
    compute = compute or choose_compute("auto", "float32", None)
    folder = resolve_model_folder(model_folder)
    config, _ = read_config(folder)
    tokenizer = tokenizer_of_model(folder, config)
    mask = special_token(tokenizer, "mask")
    if mask is None:
        raise UserError(f"{folder}: its tokenizer does not know [MASK]: is it a BERT's tokenizer?")
    if mask not in text:
        if mask.lower() in text.lower():
            raise UserError(f"TEXT: write {mask} {_CASE[mask]} where a word is to be filled in")
        raise UserError(f"TEXT holds no {mask}: put one where a word is to be filled in")
    encoding = tokenizer.encode(text)
    # By its id: with RoBERTa's the token holds the space before it.
    number = tokenizer.token_to_id(mask)
    masked = [position for position, found in enumerate(encoding.ids) if found == number]
    if len(masked) != text.count(mask):
        raise UserError(f"{folder}: its tokenizer does not know {mask}: is it a BERT's tokenizer?")
    probabilities = _probabilities(folder, encoding.ids, encoding.type_ids, masked, compute)
    return [
        {"text": text, "candidates": _candidates(text.split(mask), number, row, top, tokenizer)}
        for number, row in enumerate(probabilities)
    ]


def _probabilities(
    folder: Path, ids: list[int], type_ids: list[int], masked: list[int], compute: Compute
) -> np.ndarray:
    """The distributions over the vocabulary at the M masks, float32 [M, V]."""
    model, missing = load_pretraining(folder, ["mlm"])
    lacking = text_family(model.encoder.config).lacks_masked_lm(missing)
    if lacking is not None:
        raise UserError(
            f"{folder}: this model has no masked-LM head (no {lacking}): give one that was "
            "pre-trained with the objective mlm"
        )
    longest = model.encoder.config.longest_sequence
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
        scores = head(encoded.last_hidden_state.index_select(0, rows)).float()
    if not scores.isfinite().all():
        raise not_finite(folder, "", compute)
    return scores.softmax(-1).cpu().numpy()


def _candidates(
    parts: list[str], mask: int, probabilities: np.ndarray, top: int, tokenizer: Tokenizer
) -> list[dict[str, Any]]:
    """The best tokens for the mask with index ``mask``, by their probabilities, float32 [V].

    ``parts`` is the text, divided at its masks.
    """
    name = special_token(tokenizer, "mask") or ""
    before, after = name.join(parts[: mask + 1]), name.join(parts[mask + 1 :])
    fill = _fill_word if isinstance(tokenizer.model, WordPiece) else _fill_piece
    shown = _text_of_piece if kind_of(tokenizer) == "byte-level" else _name_of_piece
    candidates = []
    for number in np.argsort(-probabilities, kind="stable")[:top].tolist():
        token, probability = shown(tokenizer, number), float(probabilities[number])
        sequence = fill(before, token, after)
        candidates.append({"token": token, "probability": probability, "sequence": sequence})
    return candidates


def _name_of_piece(tokenizer: Tokenizer, number: int) -> str:
    return (tokenizer.id_to_token(number) or "").replace("\u2581", " ")


def _text_of_piece(tokenizer: Tokenizer, number: int) -> str:
    """The text that a byte-level token stands for; special tokens stand for themselves."""
    return tokenizer.decode([number], skip_special_tokens=False)


def _fill_word(before: str, token: str, after: str) -> str:
    """The filled text; a piece such as ##ing joins the word before it."""
    if token.startswith("##"):
        return before.rstrip() + token.removeprefix("##") + after
    return before + token + after


def _fill_piece(before: str, token: str, after: str) -> str:
    """The filled text; a piece without a space at its beginning joins the word before it."""
    before = before.rstrip()
    return (before + token if before else token.lstrip()) + after
