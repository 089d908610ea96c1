"""Read a run's folder, whether or not the run has ended. No torch is needed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, get_args

from msgspec import Meta

from selfsup.errors import UserError
from selfsup.runs import METRICS, SETTINGS, SUMMARY, VALIDATION_PREDICTIONS, RunCommand
from selfsup.settings.yaml_file import read_yaml
from selfsup.special_files import refuse_special
from selfsup.structured_files import Count, WholeNumber, check, decode_json, read_json

RunKind = RunCommand | Literal["unknown"]
Record = dict[str, Any]

_FILES = (SETTINGS, METRICS, SUMMARY)
_NO_COMMAND = (
    "run.yaml does not say which command made the run (older versions did not write it): add "
    "the first line `command: pretrain`, `command: finetune` or `command: demo`"
)


_Number = float | None
_Seconds = Annotated[float, Meta(ge=0, le=1e10)] | None
# A line of metrics.jsonl; what else is known of it, _MetricsLine says.
_NUMBERS = dict[str, _Number | dict[str, _Number]]


class _MetricsLine(TypedDict, total=False):
    """The entries of a line of metrics.jsonl that a report does not look at one by one."""

    step: Count
    epoch: Count
    seed: WholeNumber
    seconds: _Seconds
    validation: dict[str, _Number] | None


class _Settings(TypedDict, total=False):
    """The settings in run.yaml that a report or a diagnosis looks at; all others are shown."""

    task: str | None
    encoder: str | None
    objectives: list[str] | None
    data: list[str] | str | None
    train: str | None
    image_size: WholeNumber | None


class _Several(TypedDict, total=False):
    """A metric over several seeds."""

    mean: _Number
    std: _Number
    values: list[float] | None


class _Confusion(TypedDict):
    """How often each label was taken for each."""

    labels: list[str | WholeNumber]
    matrix: list[list[Count]]


class _Class(TypedDict):
    """The scores of a label."""

    label: str | WholeNumber
    precision: float
    recall: float
    f1: float
    examples: Count


class _Candidate(TypedDict):
    """A token for a mask."""

    token: str
    probability: Annotated[float, Meta(ge=0, le=1)]


class _FilledMask(TypedDict, total=False):
    """A text with a mask, and the tokens for it."""

    text: str
    candidates: list[_Candidate]


class _DemoTask(TypedDict, total=False):
    """The task of a demo."""

    labels: list[str | WholeNumber]
    train_examples: Count
    test_examples: Count


class _ComparedModel(TypedDict):
    """A model beside the fine-tuned one, or that one itself."""

    name: str
    metrics: dict[str, float | None]
    interval: tuple[float, float]


class _Worth(TypedDict):
    """How far the fine-tuned model is above another one."""

    beside: str
    difference: float
    interval: tuple[float, float]


class _Comparison(TypedDict):
    """The fine-tuned model beside models without an encoder."""

    metric: str
    models: Annotated[list[_ComparedModel], Meta(min_length=1)]
    interval_method: str
    worth: _Worth


class _Summary(TypedDict, total=False):
    """What summary.json may hold, of any command; other entries are looked at one by one."""

    task: str | _DemoTask
    metrics: dict[str, float | _Several | None] | None
    baseline: dict[str, _Number] | None
    chance: _Number
    selection_metric: str | None
    seeds: list[WholeNumber] | None
    failed_seeds: list[WholeNumber] | None
    best_seed: WholeNumber | None
    best_epochs: dict[str, Count] | None
    validation_examples: Count | None
    confusion: _Confusion | None
    classes: list[_Class] | None
    comparison: _Comparison | None
    fill_mask: list[_FilledMask] | None
    steps: Count | None
    seconds: _Seconds


@dataclass(frozen=True)
class Run:
    """What a run's folder holds. What is missing or broken is empty, and `notes` says so."""

    name: str
    folder: Path
    kind: RunKind
    """The command that made the run, as run.yaml names it."""
    settings: Record
    metrics: list[Record]
    summary: Record
    notes: tuple[str, ...]
    predictions: list[Record] = field(default_factory=list)
    """What a fine-tuned model predicts for its validation examples."""

    @property
    def training(self) -> list[Record]:
        """The lines that training steps logged."""
        return [line for line in self.metrics if "loss" in line]

    @property
    def evaluation(self) -> list[Record]:
        """The lines that measurements on held-out data logged."""
        return [line for line in self.metrics if any(key.startswith("held_out") for key in line)]

    @property
    def epochs(self) -> list[Record]:
        """The lines that epochs of fine-tuning logged."""
        return [line for line in self.metrics if isinstance(line.get("validation"), dict)]


def read_run(folder: str | Path) -> Run:
    """Read what there is of a run's files.

    Raises:
        UserError: the folder is missing or holds no run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        is_what = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {is_what}: give the folder that a run was written to")
    if not _holds_run(folder):
        raise UserError(f"{folder} is no run folder: it holds none of {', '.join(_FILES)}")
    notes: list[str] = []
    settings = _read_settings(folder / SETTINGS, notes)
    command = settings.pop("command", None)
    if settings and command not in get_args(RunCommand):
        notes.append(_NO_COMMAND)
    return Run(
        name=folder.name or folder.resolve().name,
        folder=folder,
        kind=command if command in get_args(RunCommand) else "unknown",
        settings=settings,
        metrics=_read_lines(folder / METRICS, notes, _NUMBERS, _MetricsLine),
        predictions=_read_lines(folder / VALIDATION_PREDICTIONS, notes, Record),
        summary=_read_summary(folder / SUMMARY, notes),
        notes=tuple(notes),
    )


def check_kind(run: Run) -> None:
    """Refuse a run whose kind is unknown.

    Raises:
        UserError: `run.yaml` is missing or cannot be read, or does not name a command.
    """
    if run.kind != "unknown":
        return
    if run.settings:
        raise UserError(f"{run.folder}: {_NO_COMMAND}")
    unreadable = next((note for note in run.notes if note.startswith(SETTINGS)), None)
    reason = unreadable or f"{SETTINGS} is missing, which says how the run was made"
    raise UserError(f"{run.folder}: {reason}: put it back as it was")


def kind_to_resume(folder: Path) -> RunKind:
    """The kind of a run that ``selfsup resume`` is to go on with: "pretrain" or "finetune".

    Raises:
        UserError: there is no run, nothing says how it was made, or it is a demo.
    """
    if not (folder / SETTINGS).exists():
        raise UserError(f"{folder}: no run that can be resumed (it has no {SETTINGS})")
    run = read_run(folder)
    check_kind(run)
    if run.kind == "demo":
        raise UserError(
            f"{folder}: a demo cannot be resumed, only pre-training and fine-tuning: run it again"
        )
    return run.kind


def parts_of(run: Run) -> list[Run]:
    """The runs in this run's subfolders, such as a demo's pre-training."""
    return [read_run(entry) for entry in sorted(run.folder.iterdir()) if _holds_run(entry)]


def _holds_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _FILES)


def _read_settings(file: Path, notes: list[str]) -> Record:
    if not file.exists():
        return {}
    try:
        refuse_special(file)
        return check(read_yaml(file), _Settings, file, "put it back as it was")
    except UserError as error:
        notes.append(f"{SETTINGS} could not be read: {error}")
        return {}


def _read_lines(file: Path, notes: list[str], *kinds: Any) -> list[Record]:
    """The lines that are of these types; a note counts the others."""
    if not file.is_file():
        return []
    text = file.read_bytes()
    records, broken = [], 0
    for line in text.split(b"\n"):
        if not line.strip():
            continue
        try:
            record = decode_json(line, kinds[0], file.name)
            for kind in kinds[1:]:
                check(record, kind, file.name)
            records.append(record)
        except UserError:
            broken += 1
    # A run that was killed as it wrote leaves half a line at the end, which is not worth a note.
    if broken and not text.endswith(b"\n"):
        broken -= 1
    if broken:
        notes.append(f"{file.name}: lines left out, as they could not be read: {broken}")
    return records


def _read_summary(file: Path, notes: list[str]) -> Record:
    if not file.exists():
        notes.append("This run has not ended: what follows is what it had logged so far.")
        return {}
    try:
        return read_json(file, _Summary, "what follows is what the run logged")
    except UserError as error:
        notes.append(f"{SUMMARY} is broken: {error}.")
        return {}
