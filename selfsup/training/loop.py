"""The loop that pre-training and fine-tuning share.

It knows no objective and no task. The model maps a batch to ``(mean loss, number of correct
predictions, number of predictions)`` for each of its losses. Batches are indexed by number.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Annotated, Any, Protocol

import torch
from msgspec import Meta
from torch import Tensor, nn

from selfsup.counter_random import hash64
from selfsup.interruption import SIGNALS, Interrupted, end_at_next_signal
from selfsup.structured_files import Count
from selfsup.training.compute import Compute
from selfsup.training.optimizers import rate_multiplier, set_learning_rate

Seconds = Annotated[float, Meta(ge=0, le=1e10)]


class Batch(Protocol):
    """The data of a step, or of a part of it.

    With gradient accumulation, batches also have ``predictions``: for each loss, the number of
    predictions that it is the mean of.
    """

    @property
    def token_count(self) -> int: ...

    def to(self, device: torch.device) -> Any: ...


class Batches(Protocol):
    """An endless sequence of batches, indexed from 0."""

    def __getitem__(self, number: int, /) -> Batch: ...


@dataclass(frozen=True)
class Stage:
    """A part of the run with its own kind of batches, such as shorter sequences.

    Attributes:
        until: the fraction of the run, in (0, 1], at which it ends.
        batches: its batches.
        label: added to the metrics of its steps.
    """

    until: float
    batches: Batches
    label: dict[str, int]


@dataclass(frozen=True)
class Extent:
    """The length of a run; exactly one attribute is set.

    Attributes:
        steps: how many there are.
        seconds: how long they take together.
        seconds_left: returns how long steps may still take.
    """

    steps: int | None = None
    seconds: float | None = None
    seconds_left: Callable[[], float] | None = None

    def progress(self, state: "RunState") -> float:
        """The fraction of the run that is done, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, state.step / self.steps)
        if self.seconds is not None:
            return min(1.0, state.seconds / self.seconds)
        assert self.seconds_left is not None
        # No step begins that would probably end too late.
        left = self.seconds_left() - state.seconds / max(1, state.step)
        return state.seconds / (state.seconds + left) if left > 0 else 1.0


@dataclass
class RunState:
    """The state of a run: with the model and the optimizer, all that is needed to resume it.

    Attributes:
        step: optimizer steps taken.
        tokens: tokens seen, or another unit if the caller counts another one.
        seconds: time spent on steps, without evaluations and checkpoints.
        wall_seconds: time of the whole run up to the checkpoint; 0 where it is not limited.
        flops: floating-point operations of the model so far.
        batches_taken: batches used in each stage.
        data_sha256: hash of the training data; empty if it is not checked.
    """

    step: Count = 0
    tokens: Count = 0
    seconds: Seconds = 0.0
    wall_seconds: Seconds = 0.0
    flops: Annotated[float, Meta(ge=0, le=1e40)] = 0.0
    batches_taken: list[Annotated[int, Meta(ge=0, le=2**40)]] = field(default_factory=list)
    data_sha256: str = ""


@dataclass(frozen=True)
class StepSettings:
    """The settings of training steps.

    Attributes:
        schedule, warmup: see ``rate_multiplier``.
        gradient_clip: largest 2-norm of the gradient.
        accumulate: batches of a step. They are weighted by their numbers of predictions, so the
            gradient is that of one large batch.
        seed: determines dropout.
    """

    schedule: str
    warmup: float
    gradient_clip: float
    accumulate: int
    seed: int


@dataclass(frozen=True)
class StepReport:
    """The result of a step."""

    state: RunState
    progress: float
    label: dict[str, int]
    learning_rate_multiplier: float
    losses: dict[str, float]
    step_seconds: float
    step_tokens: int
    step_flops: float


class StopOnSignal:
    """A context in which the first SIGINT or SIGTERM sets ``requested``; a second ends the process.

    So a run is saved between two steps, never within one.
    """

    requested = False
    _number = signal.SIGINT

    def __enter__(self) -> "StopOnSignal":
        in_main = threading.current_thread() is threading.main_thread()
        numbers = SIGNALS if in_main else ()
        self._previous = {number: signal.signal(number, self._handle) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        end_at_next_signal()
        self.requested, self._number = True, signal.Signals(number)

    def interruption(self, message: str) -> Interrupted:
        """What to raise when the run is saved; the message says how to go on."""
        return Interrupted(message, self._number)


class NotFinite(ArithmeticError):
    """The loss or its gradient became infinite or not a number; the message says at which step."""


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
    """Train from ``state`` until the extent is reached, updating ``state``.

    Args:
        model: maps a batch to its losses.
        optimizer: over the parameters that learn; ``after_step`` may add more.
        stages: the parts of the run, in order; the last one ends at 1.
        extent: the length of the run.
        settings: of each step.
        compute: device and precision.
        state: where to start; a new ``RunState()`` for a new run.
        after_step: called after each step, for logs, evaluations and checkpoints; its time does not
            count towards a budget in seconds.
        training_flops: floating-point operations of a step on a batch.
        should_stop: checked between steps; True ends the training early.
        count: how much a batch adds to ``state.tokens``.

    Raises:
        NotFinite: the gradient's norm is infinite or not a number.
    """
    state.batches_taken += [0] * (len(stages) - len(state.batches_taken))
    model.train()
    while (progress := extent.progress(state)) < 1.0 and not should_stop():
        started = time.perf_counter()
        stage = next(i for i, part in enumerate(stages) if progress < part.until)
        midpoint = _step_midpoint(progress, extent, state)
        multiplier = rate_multiplier(settings.schedule, midpoint, settings.warmup)
        set_learning_rate(optimizer, multiplier)
        torch.manual_seed(int(hash64(settings.seed, state.step)) >> 1)
        sums: dict[str, Tensor] = {}
        first = state.batches_taken[stage]
        state.batches_taken[stage] += settings.accumulate
        batches = [stages[stage].batches[first + i] for i in range(settings.accumulate)]
        tokens, flops = sum(map(count, batches)), sum(map(training_flops, batches))
        for batch, weights in zip(batches, _prediction_weights(batches), strict=True):
            batch = batch.to(compute.device)
            with compute.autocast():
                losses: Mapping[str, tuple[Tensor, Tensor, int]] = model(batch)
            parts = {name: loss * weights.get(name, 1.0) for name, (loss, _, _) in losses.items()}
            total = sum(parts.values())
            total.backward()  # type: ignore[union-attr]
            for name, part in parts.items():
                sums[name] = sums.get(name, 0.0) + part.detach()
        # Listed in each step, since after_step may have unfrozen more parameters.
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
        label = stages[stage].label
        after_step(StepReport(state, progress, label, multiplier, values, seconds, tokens, flops))


def _prediction_weights(batches: Sequence[Any]) -> list[dict[str, float]]:
    """For each batch and loss, its fraction of the predictions of all batches; 1 if not listed.

    The means over single batches, weighted like this and summed, are the mean over all batches.
    """
    if len(batches) == 1:
        return [{}]
    counts = [batch.predictions for batch in batches]
    totals = {name: max(1, sum(of_batch[name] for of_batch in counts)) for name in counts[0]}
    return [{name: n / totals[name] for name, n in of_batch.items()} for of_batch in counts]


def clip_gradients(parameters: Sequence[nn.Parameter], longest: float, step: int) -> None:
    """Scale the gradient of all parameters down to a 2-norm of ``longest`` if it is longer.

    Raises:
        NotFinite: the norm is infinite or not a number; ``step`` is for the message.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if not math.isfinite(norm):  # waits for the device
        raise NotFinite(f"the gradient is not finite at step {step}")
    if norm > longest:
        torch.nn.utils.clip_grads_with_norm_(parameters, longest, norm)


def _step_midpoint(progress: float, extent: Extent, state: RunState) -> float:
    """The progress in the middle of the next step, so that no step has a learning rate of 0.

    With a budget in seconds, a step is assumed to take as long as the mean of those before it, and
    the first step a thousandth of the budget.
    """
    if extent.steps is not None:
        fraction = 1 / extent.steps
    else:
        fraction = progress / state.step if state.step else 1e-3
    return min(1.0, progress + fraction / 2)
