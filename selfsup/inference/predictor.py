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
    """A fine-tuned model that takes texts.

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
        *,
        paired: bool = False,
    ) -> "Predictor":
        """Load a model folder, or the model of a run folder.

        Args:
            folder: where it is.
            device: "auto", "cpu", "cuda" or "mps".
            precision: "auto", "bf16" or "float32".
            threads: processor threads; all cores if None.
            paired: whether a classifier that ``transformers`` saved is one of pairs.

        Raises:
            UserError: there is no fine-tuned model, or not this device or precision.
        """
        compute = choose_compute(device, precision, threads)
        return cls(load_task_model(folder, paired=lambda: paired), compute)

    @property
    def labels(self) -> Labels:
        """What it answers with: the names of the labels it chooses among, if it has any."""
        return self._loaded.labels

    @property
    def task(self) -> Task:
        """What it was trained for."""
        return self._loaded.task

    def predict(
        self,
        texts: Sequence[str],
        text_pairs: Sequence[str] | None = None,
        batch_size: int = 64,
        after_batch: Callable[[float], None] = lambda share: None,
    ) -> list[dict[str, Any]]:
        """Predict for each text, or pair of texts.

        Args:
            texts: of any length; what is too long is cut or read in windows, as in training.
            text_pairs: the second text of each pair (or the text that a question is about), for
                the tasks that take two.
            batch_size: most texts, or windows of them, computed at once.
            after_batch: told the share that is done.

        Returns:
            an answer each; of a classifier ``{"label", "probability", "probabilities": {label:
            probability}}``.

        Raises:
            TypeError: a text was given where a list of texts is meant.
            ValueError: there are not as many second texts as first ones.
            UserError: the task needs second texts and has none, or the other way round.
        """
        if isinstance(texts, str) or isinstance(text_pairs, str):
            raise TypeError("give a list of texts, such as [text]")
        examples = self.task.examples_of(texts, text_pairs)
        return self.predict_examples(examples, batch_size, after_batch)

    def predict_examples(
        self,
        examples: Examples,
        batch_size: int = 64,
        after_batch: Callable[[float], None] = lambda share: None,
        tell: Callable[[str], None] = lambda note: None,
    ) -> list[dict[str, Any]]:
        """Predict for examples of the model's task; see ``predict``.

        Args:
            examples: as the task reads or makes them.
            batch_size, after_batch: as in ``predict``.
            tell: told what the user should know, such as how many texts were cut.
        """
        if not len(examples):
            return []
        loaded = self._loaded
        encoded = loaded.task.encode_examples(examples, loaded.labels, loaded.preparation)
        for note in encoded.notes:
            tell(note)
        scores = score(loaded.model, encoded.windows, self._compute, batch_size, after_batch)
        return loaded.task.decode(scores, encoded, examples, loaded.labels)
