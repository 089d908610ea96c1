"""What a run keeps of its validation examples: the answers of the model that it keeps."""

import json
from pathlib import Path

import pytest

from selfsup.finetuning.run import finetune
from selfsup.inference.evaluate import evaluate
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.inference import EvaluateSettings
from tests.toy_tasks import (
    ON_CPU,
    write_toy_conll,
    write_toy_file,
    write_toy_model,
    write_toy_questions,
)

FILES = {
    "sequence-classification": ("tsv", write_toy_file),
    "question-answering": ("json", write_toy_questions),
    "token-classification": ("conll", write_toy_conll),
}


def rounded(value):
    """Alike but for the last digits of its numbers."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return pytest.approx(value, rel=1e-3, abs=1e-5) if isinstance(value, float) else value


@pytest.mark.parametrize("task", FILES)
def test_a_run_keeps_the_answers_that_its_model_gives(task: str, tmp_path: Path):
    ending, write = FILES[task]
    encoder = write_toy_model(tmp_path / "encoder")
    settings = FinetuneSettings(
        task=task,
        encoder=str(encoder),
        train=str(write(tmp_path / f"train.{ending}", 40, 1)),
        validation=str(write(tmp_path / f"dev.{ending}", 10, 2)),
        out=str(tmp_path / "run"),
        epochs=2,
        seeds=2,
        learning_rate=3e-3,
        max_length=32,
        **ON_CPU,
    )
    finetune(settings)
    given = tmp_path / "given.jsonl"
    evaluate(
        EvaluateSettings(
            model=settings.out, data=settings.validation, predictions=str(given), **ON_CPU
        )
    )
    kept = [
        [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        for file in (tmp_path / "run" / "validation_predictions.jsonl", given)
    ]
    assert len(kept[0]) == 10
    # Which of many hardly likely answers comes before which may hang on a rounding.
    for record in (*kept[0], *kept[1]):
        record.pop("n_best", None)
    assert kept[0] == rounded(kept[1])
