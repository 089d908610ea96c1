"""The README of a pre-trained model's folder."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from selfsup.settings import FinetuneSettings, PretrainSettings
from selfsup.tasks.base import Task
from selfsup.tasks.labels import Labels


def pretraining_card(settings: PretrainSettings, summary: dict[str, Any]) -> str:
    """What the model is, what it was trained on and how well it did, as Markdown."""
    assert settings.objectives is not None
    rows = [
        ("masked-LM loss (nats a masked token)", summary["mlm_loss"], "{:.3f}"),
        ("masked-LM accuracy", summary["mlm_accuracy"], "{:.1%}"),
        ("next-sentence accuracy", summary["nsp_accuracy"], "{:.1%}"),
    ]
    table = "\n".join(
        f"| {name} | {form.format(value)} |" for name, value, form in rows if value is not None
    )
    extent = f"{summary['steps']:,} steps, {summary['tokens']:,} tokens"
    return f"""---
library_name: transformers
tags: [bert, fill-mask, selfsup]
---

# {settings.encoder if settings.init is None else settings.init}, pre-trained with selfsup

- data: {", ".join(f"`{source}`" for source in settings.data)}
- objectives: {", ".join(settings.objectives)}
- training: {extent}, sequences of up to {settings.max_length} tokens

On {summary["held_out_documents"]} held-out documents:

| measure | value |
|---|---|
{table}

Use it with `selfsup fill-mask`, `selfsup finetune --encoder`, or
`transformers.AutoModel.from_pretrained`.
"""


# The README of the folder of a model that was pre-trained on images.


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


# The ``README.md`` of a fine-tuned model folder.


_TEMPLATE = """\
---
library_name: transformers
pipeline_tag: {pipeline}
tags: [selfsup, {kind}]
---

# {title}

{encoder} fine-tuned for {task} with `selfsup finetune`.
{labels}
| metric | validation |
|---|---|
{rows}

Training examples: {examples}; epochs: {epochs}; seeds: {seeds}. These weights are of seed {best}.
Where there are several seeds, the table gives mean ± standard deviation.{failed}

```
selfsup predict {run} {arguments}
```

```python
{code}
```
"""


def task_model_card(
    settings: FinetuneSettings, task: Task, encoder: str, labels: Labels, summary: dict[str, Any]
) -> str:
    """The card, in Markdown: what the model is, how good it is, and how to use it."""
    rows = [
        f"| {name.replace('_', ' ')} | {_written(score)} |"
        for name, score in summary["metrics"].items()
    ]
    example = task.card_example(labels)
    return _TEMPLATE.format(
        title=PurePath(settings.out).name,
        encoder=f"`{PurePath(encoder).name}`",
        task=task.name,
        pipeline=task.pipeline,
        kind=task.family.model_type,
        labels=_shown(labels),
        rows="\n".join(rows),
        examples=f"{summary['train_examples']:,}",
        epochs=settings.epochs,
        seeds=", ".join(map(str, summary["seeds"])),
        best=summary["best_seed"],
        failed=_failed(summary["failed_seeds"]),
        run=settings.out,
        arguments=example.arguments,
        code=example.code.format(pipeline=task.pipeline, run=settings.out, inputs=example.inputs),
    )


def _written(score: dict[str, Any]) -> str:
    spread = f" ± {score['std']:.4f}" if len(score["values"]) > 1 else ""
    return f"{score['mean']:.4f}{spread}"


def _failed(seeds: Sequence[int]) -> str:
    return f" Failed to learn: seeds {', '.join(map(str, seeds))}." if seeds else ""


def _shown(labels: Labels) -> str:
    """A paragraph that names them."""
    if labels.kind in ("number", "none"):
        return ""
    names = ", ".join(f"`{name}`" for name in labels.names[:20])
    several = ", any number of them a text" if labels.kind == "multi" else ""
    return f"\nLabels: {names}{' …' if len(labels) > 20 else ''}{several}.\n"
