"""An image task that a tiny model learns in seconds: the direction of stripes."""

from pathlib import Path

import numpy as np
from PIL import Image

from selfsup.encoder.config import VitConfig
from selfsup.encoder.huggingface.config import vit_config_of
from selfsup.encoder.huggingface.vit_folder import save_vit
from selfsup.encoder.layers import initialize
from selfsup.encoder.vit import VitEncoder
from tests.encoder_folders import vit_state

CONFIG = VitConfig(
    image_size=16,
    patch_size=4,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
)
CLASSES = ("across", "along", "plain")


def toy_image(label: str, number: int) -> np.ndarray:
    """Make noisy grey stripes four pixels wide: uint8 [H, W, 3], 20 to 27 pixels a side."""
    random = np.random.default_rng([number, CLASSES.index(label)])
    height, width = random.integers(20, 28, 2)
    rows, columns = np.indices((height, width)) // 4 % 2
    stripes = {"across": rows, "along": columns, "plain": np.zeros_like(rows)}[label]
    grey = 60 + 120 * stripes[..., None] + random.integers(0, 40, (height, width, 3))
    return grey.astype(np.uint8)


def write_toy_images(folder: Path, count: int, seed: int = 0) -> Path:
    """Write a folder for each class, with ``count`` images in each."""
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(toy_image(label, 1000 * seed + number))
            image.save(folder / label / f"{number:03}.png")
    return folder


def write_toy_vit(folder: Path) -> Path:
    """Write a ViT model folder with random weights."""
    encoder = VitEncoder(CONFIG)
    initialize(encoder, 0.1, seed=1)
    save_vit(folder, vit_state(encoder), vit_config_of(CONFIG, "ViTModel"), "# Toy\n")
    return folder
