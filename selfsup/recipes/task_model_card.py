"""The ``README.md`` of a fine-tuned model folder."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from selfsup.settings import FinetuneSettings

_TEMPLATE = """\
---
library_name: transformers
pipeline_tag: text-classification
tags: [selfsup, bert]
---

# {title}

{encoder} fine-tuned for {task} with `selfsup finetune`.

Labels: {labels}.

| metric | validation |
|---|---|
{rows}

{examples} training examples, {epochs} epochs, seeds {seeds}; these are the weights of seed {best}.
Where there are several seeds, the table gives mean ± standard deviation.

```
selfsup predict {run} "A text."
```

```python
from transformers import pipeline

pipeline("text-classification", model="{run}/model")("A text.")
```
"""


def task_model_card(
    settings: FinetuneSettings, encoder: str, labels: Sequence[str], summary: dict[str, Any]
) -> str:
    """The card, in Markdown: what the model is, how good it is, and how to use it."""
    rows = [
        f"| {name.replace('_', ' ')} | {score['mean']:.4f} ± {score['std']:.4f} |"
        for name, score in summary["metrics"].items()
    ]
    shown = ", ".join(f"`{label}`" for label in labels[:20]) + (" …" if len(labels) > 20 else "")
    return _TEMPLATE.format(
        title=PurePath(settings.out).name,
        encoder=f"`{PurePath(encoder).name}`",
        task=settings.task,
        labels=shown,
        rows="\n".join(rows),
        examples=f"{summary['train_examples']:,}",
        epochs=settings.epochs,
        seeds=", ".join(map(str, summary["seeds"])),
        best=summary["best_seed"],
        run=settings.out,
    )
