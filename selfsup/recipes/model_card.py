"""The README of a pre-trained model's folder."""

from typing import Any

from selfsup.settings import PretrainSettings


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
