"""Checkpoints: all that is needed to resume a run.

A checkpoint is a folder with ``model.safetensors``, ``optimizer.safetensors`` and ``state.json``,
and further tensors where the run has some. It is written under a temporary name, flushed to the
disk and renamed; only then is the previous checkpoint removed.
"""

import json
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from selfsup.atomic_files import remove_tree, sync_file, sync_folder, writing_to
from selfsup.encoder.huggingface.weights import read_tensors, write_tensors
from selfsup.errors import UserError
from selfsup.structured_files import read_json, shown
from selfsup.training.optimizers import state_names

_PREFIX = "step-"
_NAME = re.compile(r"step-[0-9]{9,16}")
START_AGAIN = "start the run again"
_SECONDS_BETWEEN = 300.0  # checkpoints, unless the user says how often
_MOST_OF_THE_TIME = 0.01  # for writing them, where 300 seconds are too few for that


class CheckpointClock:
    """Tells when it is time to save a checkpoint: after some steps, or else after some minutes."""

    def __init__(self, every: int | None) -> None:
        """``every`` is the number of steps; None for a time that makes saving cost little."""
        self._every = every
        self._last, self._seconds_between = time.monotonic(), _SECONDS_BETWEEN

    def is_due(self, step: int) -> bool:
        """Whether to save a checkpoint after this step."""
        if self._every is not None:
            return step % self._every == 0
        return time.monotonic() - self._last >= self._seconds_between

    def saved(self, seconds: float) -> None:
        """Begin to wait again, after a checkpoint that took so long to write."""
        self._last = time.monotonic()
        self._seconds_between = max(_SECONDS_BETWEEN, seconds / _MOST_OF_THE_TIME)


def save_checkpoint(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: dict,
    others: Mapping[str, Mapping[str, torch.Tensor]] = {},
) -> Path:
    """Write the checkpoint of a step into ``folder`` and remove older ones.

    Args:
        folder: of all checkpoints of the run; created if it does not exist.
        step: steps taken so far.
        model: its parameters and buffers are saved.
        optimizer: its state is saved, under the indices of its parameters.
        state: everything else that is needed to resume, as JSON.
        others: further tensors, by the name of their file without its ending.

    Raises:
        UserError: the disk is full or read-only, or write permission is missing; the previous
            checkpoint stays.
    """
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{_PREFIX}{step:09d}"
    if final in _checkpoints(folder):
        return final  # no step since: nothing to save
    for unfinished in folder.glob(f".{_PREFIX}*.tmp"):  # of a run that was killed while saving
        remove_tree(unfinished)
    temporary = folder / f".{final.name}.tmp"
    with writing_to(temporary):
        temporary.mkdir()
    try:
        with writing_to(final):
            write_tensors(temporary / "model.safetensors", unshared_state(model))
            write_tensors(temporary / "optimizer.safetensors", _optimizer_tensors(optimizer))
            for name, tensors in others.items():
                write_tensors(temporary / f"{name}.safetensors", tensors)
            about = {"step": step, "optimizer": type(optimizer).__name__, **state}
            (temporary / "state.json").write_text(json.dumps(about, allow_nan=False))
            sync_file(temporary / "state.json")
            sync_folder(temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    remove_tree(final)  # an incomplete checkpoint
    with writing_to(final):
        temporary.replace(final)
    sync_folder(folder)
    for older in _checkpoints(folder)[:-1]:
        shutil.rmtree(older, ignore_errors=True)  # the new one is complete: errors do not matter
    return final


def latest_checkpoint(folder: Path) -> Path | None:
    """The last complete checkpoint in ``folder``, or None."""
    checkpoints = _checkpoints(folder)
    return checkpoints[-1] if checkpoints else None


def load_checkpoint(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict:
    """Load a checkpoint into the model and the optimizer; returns its ``state``.

    Raises:
        UserError: a file is missing or damaged, or belongs to another model or optimizer.
    """
    state = read_state(checkpoint)
    if state.pop("optimizer", type(optimizer).__name__) != type(optimizer).__name__:
        raise UserError(f"{checkpoint}: the checkpoint is of another optimizer than run.yaml says")
    model_state = read_tensors(checkpoint / "model.safetensors")
    optimizer_state = read_tensors(checkpoint / "optimizer.safetensors")
    _check_tensors(unshared_state(model), model_state, checkpoint)
    _check_optimizer_tensors(optimizer, optimizer_state, checkpoint)
    set_tensors(unshared_state(model), model_state, checkpoint)
    _set_optimizer_tensors(optimizer, optimizer_state)
    return state


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The ``state`` of a checkpoint, with the ``step`` and the ``optimizer``'s class.

    Raises:
        UserError: it is missing or damaged, or of another step than its folder's name says.
    """
    path = checkpoint / "state.json"
    state = read_json(path, dict[str, Any], START_AGAIN)
    if state.get("step") != step_of(checkpoint):
        raise UserError(
            f"{path}: step must be {step_of(checkpoint)}, as its folder is named, not "
            f"{shown(state.get('step'))}: {START_AGAIN}"
        )
    return state


def step_of(checkpoint: Path) -> int:
    """The number of steps after which a checkpoint was saved."""
    return int(checkpoint.name.removeprefix(_PREFIX))


def set_tensors(
    tensors: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor], checkpoint: Path
) -> None:
    """Give a model's tensors the values that were read from a checkpoint.

    Raises:
        UserError: the names, the shapes or the types are others; then nothing has changed.
    """
    _check_tensors(tensors, values, checkpoint)
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(values[name])


def _check_tensors(
    tensors: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor], checkpoint: Path
) -> None:
    if tensors.keys() != values.keys() or any(
        (tensor.shape, tensor.dtype) != (values[name].shape, values[name].dtype)
        for name, tensor in tensors.items()
    ):
        raise UserError(f"{checkpoint}: the checkpoint belongs to another model than run.yaml says")


def _checkpoints(folder: Path) -> list[Path]:
    saved = (path for path in folder.glob(f"{_PREFIX}*") if (path / "state.json").exists())
    return sorted((path for path in saved if _NAME.fullmatch(path.name)), key=step_of)


def unshared_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers; a shared tensor once, under its first name."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.detach() for name, tensor in named}


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{index}.{name}": value.detach().contiguous()
        for index, parameter in enumerate(_parameters(optimizer))
        for name, value in optimizer.state.get(parameter, {}).items()
    }


def _check_optimizer_tensors(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor], checkpoint: Path
) -> None:
    """Check that the tensors are what this optimizer keeps for its parameters.

    Raises:
        UserError: they are not.
    """
    parameters, names = _parameters(optimizer), state_names(optimizer)
    found: dict[int, set[str]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        index = int(number) if re.fullmatch("[0-9]{1,9}", number) else len(parameters)
        fits = index < len(parameters) and name in names[index]
        if fits and name == "step":
            fits = value.shape == () and value.is_floating_point()
        elif fits:
            expected = parameters[index]
            fits = (value.shape, value.dtype) == (expected.shape, expected.dtype)
        if not fits:
            raise _other_optimizer(checkpoint, key)
        found.setdefault(index, set()).add(name)
    for index, known in found.items():
        if lost := names[index] - known:
            raise _other_optimizer(checkpoint, f"{index}.{min(lost)}")


def _other_optimizer(checkpoint: Path, key: str) -> UserError:
    file = checkpoint / "optimizer.safetensors"
    return UserError(
        f"{file}: {shown(key)} is not as this run's optimizer keeps it (damaged?): {START_AGAIN}"
    )


def _set_optimizer_tensors(
    optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]
) -> None:
    parameters = _parameters(optimizer)
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        # A fused optimizer needs the step count, too, on the parameter's device. Copied, since the
        # values are read from the file lazily, and the next checkpoint removes the file.
        optimizer.state[parameter][name] = value.to(parameter.device, copy=True)
