"""Pictures of a few held-out images: what the model reads, and what it makes of it.

Shapes: B images, S side of an image, p side of a patch or tile, G = S/p, N = G² patches,
P = 3p² numbers in a patch.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from selfsup.atomic_files import write_bytes, writing_to
from selfsup.encoder.vit import VitEncoder, unpatchify
from selfsup.pretraining.images.batches import HeldOutImages
from selfsup.pretraining.images.inpainting import Inpainting, MaskedPatches
from selfsup.pretraining.images.jigsaw import Jigsaw, ShuffledTiles, best_arrangement, in_order
from selfsup.pretraining.images.model import ImagePretrainingModel
from selfsup.runs import with_nulls

PICTURES, CONTENTS = "pictures", "pictures.json"
_MOST = 6
# Smaller pictures are enlarged by a whole factor, so that their pixels stay sharp.
_SMALLEST_SIDE = 144
_GREY, _RED = (128, 128, 128), (230, 30, 60)

Record = dict[str, Any]


def write_pictures(
    folder: Path, model: ImagePretrainingModel, held_out: HeldOutImages, device: torch.device
) -> None:
    """Write PNG files of the first few held-out images, and ``pictures.json`` about them.

    For inpainting: ``NN-original.png``, ``NN-visible.png`` (missing patches are grey) and
    ``NN-reconstruction.png``. For jigsaw: ``NN-tiles.png`` (in the right order),
    ``NN-shuffled.png``, and ``NN-restored.png``, in which each tile has a position of its own and
    tiles in a wrong one have a red frame. An objective that has no pictures is left out.
    ``pictures.json`` lists for each image the names of its files, and ``pixel_error`` and
    ``mean_colour_error`` (mean squared errors of the missing pixels, from 0 to 1), ``tiles_right``
    and ``tile_count``.

    Raises:
        UserError: the disk is full or cannot be written to.
    """
    batch = held_out.batch(0, _MOST).to(device)
    patch = model.encoder.config.patch_size
    records: list[Record] = [{} for _ in range(batch.image_count)]
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for name, draw in _DRAW.items():
            if name in model.heads and name in batch.puzzles:
                head, puzzle = model.heads[name], batch.puzzles[name]
                draw(folder, records, model.encoder, head, puzzle, patch)
    model.train(was_training)
    text = json.dumps(with_nulls(records), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_bytes(folder / CONTENTS, text.encode())


def _draw_inpainting(
    folder: Path,
    records: list[Record],
    encoder: VitEncoder,
    head: Inpainting,
    masked: MaskedPatches,
    patch: int,
) -> None:
    predicted = head.predict(encoder, masked).pixels()
    truth = masked.missing.float() / 255
    stages = {
        "original": truth,
        "visible": torch.full_like(truth, _GREY[0] / 255),
        "reconstruction": predicted,
    }
    for stage, missing in stages.items():
        pictures = _pixels(unpatchify(masked.reconstruct(missing), patch))
        for number, record in enumerate(records):
            record[stage] = _write(folder, number, stage, pictures[number])
    errors = {"pixel_error": predicted, "mean_colour_error": masked.mean_colour()}
    for name, filled_in in errors.items():
        each = (filled_in - truth).square().mean((1, 2)).tolist()
        for record, error in zip(records, each, strict=True):
            record[name] = round(error, 6)


def _draw_jigsaw(
    folder: Path,
    records: list[Record],
    encoder: VitEncoder,
    head: Jigsaw,
    shuffled: ShuffledTiles,
    patch: int,
) -> None:
    found = best_arrangement(head.scores(encoder, shuffled))  # [B, N]
    tiles, positions = shuffled.tiles.cpu(), shuffled.positions.cpu()
    as_given = torch.arange(positions.shape[1]).expand_as(positions)
    for stage, arrangement in (("tiles", positions), ("shuffled", as_given), ("restored", found)):
        right = in_order((arrangement == positions)[..., None], arrangement)[..., 0]
        pictures = _pixels(unpatchify(in_order(tiles, arrangement), patch).float() / 255)
        for number, record in enumerate(records):
            is_wrong = ~right[number].numpy() if stage == "restored" else None
            framed = _framed(pictures[number], patch, is_wrong)
            record[stage] = _write(folder, number, stage, framed)
    for number, record in enumerate(records):
        record["tiles_right"] = int((found[number] == positions[number]).sum())
        record["tile_count"] = positions.shape[1]


_DRAW: dict[str, Callable[..., None]] = {"inpainting": _draw_inpainting, "jigsaw": _draw_jigsaw}


def _pixels(images: Tensor) -> np.ndarray:
    """Floats from 0 to 1 [B, 3, S, S] → uint8 [B, S, S, 3]."""
    return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def _framed(picture: np.ndarray, patch: int, is_wrong: np.ndarray | None) -> np.ndarray:
    """Put each tile in a frame one pixel wide, red if the tile is wrong.

    Args:
        picture: uint8 [S, S, 3].
        patch: p.
        is_wrong: bool [N]; None if no tile is right or wrong.

    Returns:
        uint8 [G·(p + 2), G·(p + 2), 3], the tiles enlarged where they are small.
    """
    grid = len(picture) // patch
    picture = _enlarged(picture)
    patch = len(picture) // grid
    frames = np.full((grid * grid, 3), _GREY, np.uint8)
    if is_wrong is not None:
        frames[is_wrong] = _RED
    cell = patch + 2
    cells = np.empty((grid, cell, grid, cell, 3), np.uint8)
    cells[:] = frames.reshape(grid, 1, grid, 1, 3)
    cells[:, 1:-1, :, 1:-1] = picture.reshape(grid, patch, grid, patch, 3)
    return cells.reshape(grid * cell, grid * cell, 3)


def _write(folder: Path, number: int, stage: str, picture: np.ndarray) -> str:
    picture = _enlarged(picture)
    name = f"{number + 1:02d}-{stage}.png"
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    write_bytes(folder / name, data.getvalue())
    return name


def _enlarged(picture: np.ndarray) -> np.ndarray:
    factor = -(-_SMALLEST_SIDE // len(picture))
    return picture.repeat(factor, 0).repeat(factor, 1)
