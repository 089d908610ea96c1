"""Predict with a fine-tuned model from Python."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfsup.evaluation.scoring import score
from selfsup.tasks.encoded_texts import encode_texts
from selfsup.tasks.task import Task
from selfsup.tasks.task_folder import TaskModel, load_task_model
from selfsup.training.compute import Compute, choose_compute


class Predictor:
    """A fine-tuned model that takes texts.

    Example:
        predictor = Predictor.load("runs/task")
        predictor.predict(["A film to see twice."])[0]["label"]
    """

    def __init__(self, loaded: TaskModel, compute: Compute) -> None:
        self._loaded, self._compute = loaded, compute
        self._loaded.model.to(compute.device)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> "Predictor":
        """Load a model folder, or the model of a run folder.

        Args:
            folder: where it is.
            device: "auto", "cpu", "cuda" or "mps".
            precision: "auto", "bf16" or "float32".
            threads: processor threads; all cores if None.

        Raises:
            UserError: there is no fine-tuned model, or not this device or precision.
        """
        compute = choose_compute(device, precision, threads)
        return cls(load_task_model(folder), compute)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it chooses among."""
        return self._loaded.labels

    @property
    def task(self) -> Task:
        """What it was trained for."""
        return self._loaded.task

    def predict(
        self,
        texts: Sequence[str],
        batch_size: int = 64,
        after_batch: Callable[[float], None] = lambda share: None,
    ) -> list[dict[str, Any]]:
        """Predict for each text.

        Args:
            texts: cut at the length that the model was trained with.
            batch_size: most texts computed at once.
            after_batch: told the share that is done.

        Returns:
            for each text ``{"label", "probability", "probabilities": {label: probability}}``.
        """
        if not texts:
            return []
        loaded = self._loaded
        encoded = encode_texts(loaded.tokenizer, texts, None, loaded.max_length)
        scores = score(loaded.model, encoded, self._compute, batch_size, after_batch)
        return loaded.task.decode(scores, loaded.labels)
