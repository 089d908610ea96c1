"""The README of the folder of a model that was pre-trained on images."""

from typing import Any

from selfsup.settings import PretrainSettings


def image_pretraining_card(settings: PretrainSettings, summary: dict[str, Any]) -> str:
    """What the model is, what it was trained on and how well it did, as Markdown."""
    assert settings.objectives is not None
    rows = [
        ("inpainting loss (of normalised pixels)", "inpainting_loss", "{:.3f}"),
        ("squared error of the reconstructed pixels", "inpainting_pixel_error", "{:.5f}"),
        ("the same, filling in the mean colour", "mean_colour_error", "{:.5f}"),
        ("jigsaw: tiles put right", "jigsaw_accuracy", "{:.1%}"),
        ("the same by chance", "jigsaw_chance", "{:.1%}"),
    ]
    table = "\n".join(
        f"| {name} | {form.format(summary[key])} |"
        for name, key, form in rows
        if summary.get(key) is not None
    )
    size, patch = settings.image_size, settings.patch_size
    return f"""---
library_name: transformers
tags: [vit, image-feature-extraction, selfsup]
---

# {settings.encoder if settings.init is None else settings.init}, pre-trained with selfsup

- data: {", ".join(f"`{source}`" for source in settings.data)}
- objectives: {", ".join(settings.objectives)}
- input: {size} × {size} pixels in patches of {patch} × {patch}
- training: {summary["steps"]:,} steps, {summary["images"]:,} images

On {summary["held_out_images"]} held-out images:

| measure | value |
|---|---|
{table}

Use it with `selfsup finetune image-classification --encoder`, or
`transformers.AutoModel.from_pretrained`.
"""
