"""Model cards: the README.md of the model folder of a run, in Markdown."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.settings.objectives import IMAGE_MEASUREMENTS, TEXT_MEASUREMENTS, Measurement
from selfsup.settings.pretrain import ResolvedPretrainSettings
from selfsup.tasks.base import Task
from selfsup.tasks.labels import Labels


def pretraining_card(settings: ResolvedPretrainSettings, summary: dict[str, Any]) -> str:
    """The card of an encoder pre-trained on text: its data, its training and its scores."""
    table = _measured(TEXT_MEASUREMENTS, summary)
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


def image_pretraining_card(settings: ResolvedPretrainSettings, summary: dict[str, Any]) -> str:
    """The card of an encoder pre-trained on images: its data, its training and its scores."""
    table = _measured(IMAGE_MEASUREMENTS, summary)
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


def _measured(measurements: Sequence[Measurement], summary: dict[str, Any]) -> str:
    """A row for each number that was measured and has a title."""
    return "\n".join(
        f"| {number.title} | {number.form.format(summary[number.key])} |"
        for number in measurements
        if number.title and summary.get(number.key) is not None
    )


_TEMPLATE = """\
---
library_name: transformers
pipeline_tag: {pipeline}
tags: [selfsup, {kind}]
---

# {title}

{encoder} fine-tuned for {task} with `selfsup finetune`.
{labels}
| metric | validation | constant answer |
|---|---|---|
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
    settings: ResolvedFinetuneSettings,
    task: Task,
    encoder: str,
    model_type: str,
    labels: Labels,
    summary: dict[str, Any],
) -> str:
    """The card of a fine-tuned model: what it is, its scores, and how to use it.

    ``encoder`` is what the card calls the encoder, ``model_type`` its name in ``config.json``.
    """
    rows = [
        f"| {name.replace('_', ' ')} | {_format_score(score)} | {summary['baseline'][name]:.4f} |"
        for name, score in summary["metrics"].items()
    ]
    failed = summary["failed_seeds"]
    plural = "s" * (len(failed) > 1)
    example = task.card_example(labels)
    return _TEMPLATE.format(
        title=PurePath(settings.out).name,
        encoder=f"`{PurePath(encoder).name}`",
        task=task.name,
        pipeline=task.pipeline,
        kind=model_type,
        labels=_label_paragraph(labels),
        rows="\n".join(rows),
        examples=f"{summary['train_examples']:,}",
        epochs=settings.epochs,
        seeds=", ".join(map(str, summary["seeds"])),
        best=summary["best_seed"],
        failed=f" Failed to learn: seed{plural} {', '.join(map(str, failed))}." if failed else "",
        run=settings.out,
        arguments=example.arguments,
        code=example.code.format(pipeline=task.pipeline, run=settings.out, inputs=example.inputs),
    )


def _format_score(score: dict[str, Any]) -> str:
    spread = f" ± {score['std']:.4f}" if len(score["values"]) > 1 else ""
    return f"{score['mean']:.4f}{spread}"


def _label_paragraph(labels: Labels) -> str:
    """A paragraph that names the labels; empty where there are none."""
    if labels.kind in ("number", "none"):
        return ""
    names = ", ".join(f"`{name}`" for name in labels.names[:20])
    several = ", any number of them a text" if labels.kind == "multi" else ""
    return f"\nLabels: {names}{' …' if len(labels) > 20 else ''}{several}.\n"
