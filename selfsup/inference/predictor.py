"""Predict with a fine-tuned model from Python."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfsup.inference.scoring import score
from selfsup.tasks.base import Examples, Task
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import TaskModel, load_task_model
from selfsup.training.compute import Compute, choose_compute


class Predictor:
    """A fine-tuned model.

    Example:
        predictor = Predictor.load("runs/task")
        predictor.predict(["A film to see twice."])[0]["label"]
    """

    def __init__(self, loaded: TaskModel, compute: Compute) -> None:
        self._loaded, self._compute = loaded, compute
        self._loaded.model.to(compute.device).eval()

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
            folder: the model folder or run folder.
            device: "auto", "cpu", "cuda" or "mps".
            precision: "auto", "bf16" or "float32".
            threads: processor threads; all cores if None.

        Raises:
            UserError: there is no fine-tuned model, or the device or precision is unavailable.
        """
        compute = choose_compute(device, precision, threads)
        return cls(load_task_model(folder), compute)

    @property
    def labels(self) -> Labels:
        """The labels that it predicts, if its task has any."""
        return self._loaded.labels

    @property
    def task(self) -> Task:
        """The task that it was trained for."""
        return self._loaded.task

    def predict(
        self,
        texts: Sequence[str],
        text_pairs: Sequence[str] | None = None,
        batch_size: int = 64,
    ) -> list[dict[str, Any]]:
        """Predict for each text, or pair of texts.

        Args:
            texts: of any length; long ones are truncated or read in windows, as in training. For
                images their paths.
            text_pairs: the second text of each pair, or the context of each question.
            batch_size: most windows in a batch.

        Returns:
            an answer for each; from a classifier ``{"label", "probability", "probabilities":
            {label: probability}}``.

        Raises:
            TypeError: a single text instead of a list of texts.
            ValueError: not as many second texts as first ones.
            UserError: the task needs second texts and there are none, or the other way round.
        """
        if isinstance(texts, str) or isinstance(text_pairs, str):
            raise TypeError("give a list of texts, such as [text]")
        examples = self.task.examples_of(texts, text_pairs)
        return self.predict_examples(examples, batch_size)

    def predict_examples(
        self,
        examples: Examples,
        batch_size: int = 64,
        after_batch: Callable[[float], None] = lambda share: None,
        tell: Callable[[str], None] = lambda note: None,
    ) -> list[dict[str, Any]]:
        """Predict for examples as the model's task reads or makes them; see ``predict``.

        ``after_batch`` takes the share that is done, ``tell`` takes sentences for the user, such as
        how many texts were truncated.
        """
        if not len(examples):
            return []
        loaded = self._loaded
        encoded = loaded.task.encode_examples(examples, loaded.labels, loaded.preparation)
        for note in encoded.notes:
            tell(note)
        scores = score(loaded.model, encoded.windows, self._compute, batch_size, after_batch)
        return loaded.task.decode(scores, encoded, examples, loaded.labels)
