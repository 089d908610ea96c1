"""The loop that pre-training and fine-tuning share.

It knows no objective and no task. The model takes a batch and returns, for each thing it learns,
``(mean loss, right predictions, number of predictions)``; batches are found by their number.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from selfsup.counter_random import hash64
from selfsup.training.compute import Compute
from selfsup.training.optimizers import rate_multiplier, set_learning_rate

Losses = Mapping[str, tuple[Tensor, Tensor, int]]


class Batch(Protocol):
    """A step's data, or a part of it.

    Batches that are accumulated also have ``predictions``: how many each loss is the mean of.
    """

    @property
    def token_count(self) -> int: ...

    def to(self, device: torch.device) -> Any: ...


class Batches(Protocol):
    """Batches by number, from 0 on, without end."""

    def __getitem__(self, number: int, /) -> Batch: ...


@dataclass(frozen=True)
class Stage:
    """A part of the run with its own kind of batches, such as shorter sequences.

    Attributes:
        until: the share of the run, in (0, 1], at which it ends.
        batches: its batches.
        label: what is noted beside its steps in the metrics.
    """

    until: float
    batches: Batches
    label: dict[str, int]


@dataclass(frozen=True)
class Extent:
    """How long a run is: a number of steps, or a number of seconds; exactly one is given."""

    steps: int | None = None
    seconds: float | None = None

    def progress(self, state: "RunState") -> float:
        """The share of the run that is done, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, state.step / self.steps)
        assert self.seconds is not None
        return min(1.0, state.seconds / self.seconds)


@dataclass
class RunState:
    """Where a run is; with the model and the optimizer, all that it needs to go on.

    Attributes:
        step: optimizer steps taken.
        tokens: tokens seen, or whatever else the run is counted in.
        seconds: time spent on steps, evaluations and checkpoints left out.
        batches_taken: batches used in each stage.
        flops: floating-point operations of the model so far.
        data_sha256: of the data that the run learns from; empty where nobody asks.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    batches_taken: list[int] = field(default_factory=list)
    data_sha256: str = ""

    def to_json(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class StepSettings:
    """How a step is taken.

    Attributes:
        schedule, warmup: see ``rate_multiplier``.
        gradient_clip: longest gradient (2-norm).
        accumulate: batches of a step; each weighs as much as it has predictions, so that they
            teach what one large batch would.
        seed: where dropout's randomness starts.
    """

    schedule: str
    warmup: float
    gradient_clip: float
    accumulate: int
    seed: int


@dataclass(frozen=True)
class StepReport:
    """What a step came to."""

    state: RunState
    progress: float
    label: dict[str, int]
    learning_rate_multiplier: float
    losses: dict[str, float]
    step_seconds: float
    step_tokens: int
    step_flops: float


class NotFinite(ArithmeticError):
    """The loss or its gradient is not a number any more; the message says at which step."""


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    stages: Sequence[Stage],
    extent: Extent,
    settings: StepSettings,
    compute: Compute,
    state: RunState,
    after_step: Callable[[StepReport], None],
    training_flops: Callable[[Any], float] = lambda batch: 0.0,
    should_stop: Callable[[], bool] = lambda: False,
    count: Callable[[Any], int] = lambda batch: batch.token_count,
) -> None:
    """Take steps until the extent is reached, from wherever ``state`` is, updating it.

    Returns earlier, between two steps, when ``should_stop`` says so.

    ``after_step`` is called after each step (for logs, evaluations and checkpoints); the time it
    takes does not count towards a budget. ``count`` says how much a batch adds to ``state.tokens``.

    Raises:
        NotFinite: if the gradient's norm is infinite or not a number.
    """
    state.batches_taken += [0] * (len(stages) - len(state.batches_taken))
    model.train()
    while (progress := extent.progress(state)) < 1.0 and not should_stop():
        started = time.perf_counter()
        place = next(i for i, stage in enumerate(stages) if progress < stage.until)
        middle = _mid(progress, extent, state)
        multiplier = rate_multiplier(settings.schedule, middle, settings.warmup)
        set_learning_rate(optimizer, multiplier)
        torch.manual_seed(int(hash64(settings.seed, state.step)) >> 1)
        sums: dict[str, Tensor] = {}
        first = state.batches_taken[place]
        state.batches_taken[place] += settings.accumulate
        batches = [stages[place].batches[first + i] for i in range(settings.accumulate)]
        tokens, flops = sum(map(count, batches)), sum(map(training_flops, batches))
        for batch, shares in zip(batches, _shares_of_predictions(batches), strict=True):
            batch = batch.to(compute.device)
            with compute.autocast():
                losses: Losses = model(batch)
            parts = {name: loss * shares.get(name, 1.0) for name, (loss, _, _) in losses.items()}
            total = sum(parts.values())
            total.backward()  # type: ignore[union-attr]
            for name, part in parts.items():
                sums[name] = sums.get(name, 0.0) + part.detach()
        # Anew in each step: after_step may have let more of them learn.
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        clip_gradients(parameters, settings.gradient_clip, state.step + 1)
        optimizer.step()
        optimizer.zero_grad()
        values = {name: float(value) for name, value in sums.items()}
        seconds = time.perf_counter() - started
        state.step += 1
        state.tokens += tokens
        state.seconds += seconds
        state.flops += flops
        label = stages[place].label
        after_step(StepReport(state, progress, label, multiplier, values, seconds, tokens, flops))


def _shares_of_predictions(batches: Sequence[Any]) -> list[dict[str, float]]:
    """The share that each batch has of all the batches' predictions, by the loss; 1 where unnamed.

    A mean over a batch times its share, summed over the batches, is the mean over all of them.
    """
    if len(batches) == 1:
        return [{}]
    counts = [batch.predictions for batch in batches]
    totals = {name: max(1, sum(of_batch[name] for of_batch in counts)) for name in counts[0]}
    return [{name: n / totals[name] for name, n in of_batch.items()} for of_batch in counts]


def clip_gradients(parameters: Sequence[nn.Parameter], longest: float, step: int) -> None:
    """Shorten the gradient of all parameters together to ``longest`` (2-norm) if it is longer.

    Raises:
        NotFinite: if the norm is infinite or not a number.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if not math.isfinite(norm):  # waits for the device
        raise NotFinite(f"the gradient is not finite at step {step}")
    if norm > longest:
        torch.nn.utils.clip_grads_with_norm_(parameters, longest, norm)


def _mid(progress: float, extent: Extent, state: RunState) -> float:
    """Progress in the middle of the coming step, so that neither end has a rate of 0.

    With a budget a step takes as much of it as those before did; the first, which has none before
    it, a thousandth.
    """
    if extent.steps is not None:
        share = 1 / extent.steps
    else:
        share = progress / state.step if state.step else 1e-3
    return min(1.0, progress + share / 2)
