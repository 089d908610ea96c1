"""Small pictures of something: a coloured disc on a background that grows lighter downwards."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_toy_pictures(folder: Path, count: int, side: int = 24) -> Path:
    """Write so many PNG files, `side` pixels high and a third wider, each with another picture."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    height, width = side, side * 4 // 3
    rows, columns = np.mgrid[:height, :width]
    for number in range(count):
        background, disc = random.integers(0, 160, (2, 3))
        pixels = background + (rows * 90 // height)[..., None]
        centre = random.integers(side // 4, 3 * side // 4, 2)
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < (side // 5) ** 2
        pixels = np.where(inside[..., None], disc, pixels)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:03d}.png")
    return folder
