"""A folder of shards: begin or resume writing it, finish it with a manifest, check it for damage.

A finished folder holds ``shard-00000.safetensors`` …, ``manifest.json`` and, if some inputs could
not be read, ``problems.jsonl``. While the shards are written, ``progress.json`` holds the state
after the last finished shard, so that the same command can resume after an interruption. Whatever
was in memory for the next shard is computed again.
"""

import contextlib
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from selfsup.atomic_files import append_line, write_bytes, writing_to
from selfsup.errors import UserError
from selfsup.interruption import saying_how_to_go_on
from selfsup.shards.arrays import ShardEntry, StoredArray, open_safetensors
from selfsup.special_files import refuse_special
from selfsup.structured_files import check, read_json, shown

FORMAT_VERSION = 1  # of both kinds of shards
MANIFEST_FILE = "manifest.json"
PROGRESS_FILE = "progress.json"
PROBLEMS_FILE = "problems.jsonl"

# Files that an interrupted call leaves behind, besides finished shards.
_TRACES = (PROGRESS_FILE, "hashes-*.u64", ".shard-*")


@dataclass(frozen=True)
class ShardFormat:
    """A kind of shards: its name in manifests, and the words that messages use for it.

    Attributes:
        name: the manifest's ``format``.
        manifest: the type of its content.
        arrays: the arrays that a shard must hold, and their elements.
        units: what is counted, the smallest first; the manifest has the totals under these keys.
        content: what the shards are, such as "token shards".
        inputs: what they are made from, such as "corpus files".
        made: as in "holds *shards made* with other settings".
        remake: what the user does to make the folder again, such as "run prepare".
        remaking: the same as done by the program, such as "making the shards".
        repair: what the user does about a damaged shard; ``{folder}`` stands for the folder.
        no_folder, interrupted, no_manifest: what is wrong with a folder without a manifest,
            and what to do.
    """

    name: str
    manifest: type
    arrays: Mapping[str, tuple[np.dtype, ...]]
    units: tuple[str, ...]
    content: str
    inputs: str
    made: str
    remake: str
    remaking: str
    repair: str
    no_folder: str
    interrupted: str
    no_manifest: str


@dataclass
class ResumeState(ABC):
    """The state after a finished shard, as ``progress.json`` holds it.

    Attributes:
        identity: what the shards are made from and how: ``inputs_sha256``, ``settings`` and, for
            tokens, ``tokenizer_sha256``.
        shards: the manifest's entries of the finished shards.
        sha256: of all other values, so that a damaged one is noticed.
    """

    identity: dict[str, Any]
    shards: list[ShardEntry] = field(default_factory=list)
    sha256: str = ""

    @property
    @abstractmethod
    def done(self) -> str:
        """What is finished, for messages."""

    @property
    @abstractmethod
    def problem_count(self) -> int:
        """How many inputs could not be read so far."""

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Read ``progress.json``; None if there is none of this kind, or it is damaged."""
        try:
            values = read_json(folder / PROGRESS_FILE, dict[str, Any])
            if values.keys() != {each.name for each in fields(cls)}:
                return None
            state = check(values, cls, PROGRESS_FILE)
        except UserError:
            return None
        return state if state.sha256 == state._sha256() else None

    def save(self, folder: Path) -> None:
        """Write ``progress.json``."""
        self.sha256 = self._sha256()
        write_bytes(folder / PROGRESS_FILE, _to_json(asdict(self)))

    def _sha256(self) -> str:
        return hashlib.sha256(_to_json(asdict(self) | {"sha256": ""})).hexdigest()

    def damage(self, folder: Path) -> str | None:
        """Say what is missing or damaged among the files to resume from, or None."""
        return first_damage(folder, self.shards)


State = TypeVar("State", bound=ResumeState)


def finished_manifest(
    folder: Path, form: ShardFormat, identity: dict[str, Any], say: Callable[[str], None]
) -> dict[str, Any] | None:
    """Return the manifest if all shards are there and undamaged.

    What a call kept for resuming, and was killed before it could remove, is removed.
    If a shard is damaged, the manifest is deleted, so that all shards are made again.

    Raises:
        UserError: the folder holds shards of other inputs or settings than ``identity`` says.
    """
    if not (folder / MANIFEST_FILE).exists():
        return None
    manifest = read_manifest(folder, form)
    _refuse_other(folder, form, manifest, identity)
    damage = first_damage(folder, manifest["shards"])
    if damage is None:
        remove_traces(folder)
        unit = form.units[0]
        say(f"{folder} is complete: {manifest[unit]} {unit}; nothing to do")
        return manifest
    say(f"{damage}: {form.remaking} again")
    (folder / MANIFEST_FILE).unlink()
    return None


def begin_or_resume(
    folder: Path, form: ShardFormat, begin: State, say: Callable[[str], None]
) -> State:
    """Return the state that an interrupted call left, or else ``begin``.

    Before a new beginning, whatever an interrupted call left is removed, except shards.

    Raises:
        UserError: the folder holds unfinished shards of other inputs or settings, or cannot be
            written.
    """
    with writing_to(folder):
        state = begin.load(folder)
        if state is not None and state.shards:
            _refuse_other(folder, form, state.identity, begin.identity)
            damage = state.damage(folder)
            if damage is None:
                say(f"going on after {state.done}")
                _keep_first_problems(folder, state.problem_count)
                return state
            say(f"{damage}: beginning again")
        remove_traces(folder)
        (folder / PROBLEMS_FILE).unlink(missing_ok=True)
    begin.save(folder)
    return begin


@contextlib.contextmanager
def saying_how_to_resume(state: ResumeState) -> Iterator[None]:
    """An interruption says that the same command resumes."""

    def how() -> str:
        done = len(state.shards)
        return f"interrupted after {done} shard{'s' * (done != 1)}: the same command goes on"

    with saying_how_to_go_on(how):
        yield


def finish(
    folder: Path, form: ShardFormat, state: ResumeState, totals: dict[str, Any]
) -> dict[str, Any]:
    """Write the manifest, with further ``totals``, and remove what was kept for resuming."""
    manifest = {
        "format": form.name,
        "format_version": FORMAT_VERSION,
        **totals,
        **state.identity,
        "shards": state.shards,
    }
    write_bytes(folder / MANIFEST_FILE, _to_json(manifest))
    remove_traces(folder)
    return manifest


def remove_traces(folder: Path) -> None:
    """Remove what was kept for resuming, except finished shards."""
    for pattern in _TRACES:
        for path in folder.glob(pattern):
            with writing_to(path):
                path.unlink(missing_ok=True)


def report_problem(folder: Path, file: str, line: int | None, reason: str) -> None:
    """Add an input that could not be read to ``problems.jsonl``."""
    problem = {"file": file, "line": line, "reason": reason}
    append_line(folder / PROBLEMS_FILE, json.dumps(problem, ensure_ascii=False, allow_nan=False))


def _keep_first_problems(folder: Path, count: int) -> None:
    """Drop the problems found after the state to resume from: they will be found again."""
    path = folder / PROBLEMS_FILE
    if path.exists():
        refuse_special(path)
        with path.open("rb") as file:
            lines = [line for _, line in zip(range(count), file, strict=False)]
        write_bytes(path, b"".join(lines))


def read_manifest(folder: Path, form: ShardFormat) -> dict[str, Any]:
    """Read the manifest of a finished folder.

    Raises:
        UserError: there is none, it cannot be read, or it is of another format or version.
    """
    path = folder / MANIFEST_FILE
    if not path.exists():
        if not folder.exists():
            raise UserError(f"{folder}: {form.no_folder}")
        is_unfinished = (folder / PROGRESS_FILE).exists()
        raise UserError(f"{folder}: {form.interrupted if is_unfinished else form.no_manifest}")
    fix = f"delete {folder} and {form.remake} again"
    manifest = read_json(path, dict[str, Any], fix)
    if manifest.get("format") != form.name:
        raise UserError(f"{path}: not a manifest of {form.content}: name another folder")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path}: format version {shown(manifest.get('format_version'))}, this selfsup reads "
            f"{FORMAT_VERSION}: {form.remake} again into another folder"
        )
    check(manifest, form.manifest, path, fix)
    if len({entry["file"] for entry in manifest["shards"]}) < len(manifest["shards"]):
        raise UserError(f"{path}: names a shard twice: {fix}")
    return manifest


Opened = TypeVar("Opened")


def open_folder(
    folder: Path,
    form: ShardFormat,
    open_shard: Callable[[dict[str, StoredArray], dict[str, Any], dict[str, Any]], Opened],
    *,
    verify: bool,
) -> tuple[dict[str, Any], list[Opened]]:
    """Open a finished folder: its manifest, and each shard.

    Args:
        folder: the folder.
        form: what it holds.
        open_shard: given a shard's arrays, the manifest's entry of it and the manifest; raises
            ``ContradictionError`` if they do not fit together.
        verify: compare the checksums, which reads all files.

    Raises:
        UserError: as ``read_manifest``, or a shard is missing, cut short, damaged, or holds
            something else than the manifest says.
    """
    manifest = read_manifest(folder, form)
    repair = form.repair.format(folder=folder)
    for entry in manifest["shards"]:
        if damage := damage_of(folder, entry, verify=False):
            raise UserError(f"{damage}: {repair}")
    opened = []
    for entry in manifest["shards"]:
        path = folder / entry["file"]
        if verify and (damage := damage_of(folder, entry, verify=True)):
            raise UserError(f"{damage}: {repair}")
        arrays = open_safetensors(path, repair)
        if lacking := form.arrays.keys() - arrays.keys():
            raise UserError(f"{path}: lacks {min(lacking)}: {repair}")
        try:
            for name, dtypes in form.arrays.items():
                if arrays[name].dtype not in dtypes:
                    raise ContradictionError(f"{name} holds {arrays[name].dtype.name}")
            opened.append(open_shard(arrays, entry, manifest))
        except ContradictionError as error:
            raise UserError(
                f"{path}: its contents contradict each other or the manifest ({error}): delete "
                f"{folder} and {form.remake} again"
            ) from None
    for unit in form.units:
        total = sum(entry[unit] for entry in manifest["shards"])
        if total != manifest[unit]:
            raise UserError(
                f"{folder / MANIFEST_FILE}: {unit} is {manifest[unit]}, but its shards have "
                f"{total}: delete {folder} and {form.remake} again"
            )
    return manifest, opened


class ContradictionError(Exception):
    """A shard holds something else than it should; the message says what."""


def check_offsets(name: str, offsets: np.ndarray, end: int) -> None:
    """Check that offsets divide ``end`` things into parts, none of them empty.

    Raises:
        ContradictionError: they do not.
    """
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != end:
        raise ContradictionError(f"{name} do not reach from 0 to {end}")
    if (offsets[1:] <= offsets[:-1]).any():
        raise ContradictionError(f"{name} do not ascend")


def check_count(unit: str, entry: Mapping[str, Any], count: int) -> None:
    """Check what the manifest says of a shard.

    Raises:
        ContradictionError: it holds another number.
    """
    if entry[unit] != count:
        raise ContradictionError(f"{count} {unit} where the manifest says {entry[unit]}")


def damage_of(folder: Path, entry: ShardEntry, *, verify: bool) -> str | None:
    """Say what is wrong with the shard of a manifest's entry, or None.

    To ``verify``, the checksum is compared too, which reads the whole file.
    """
    path = folder / entry["file"]
    try:
        size = path.stat().st_size
    except OSError:
        return f"{path}: missing"
    if size != entry["bytes"]:
        return f"{path}: {size} bytes where the manifest says {entry['bytes']} (cut short?)"
    if verify and file_sha256(path) != entry["sha256"]:
        return f"{path}: its checksum is not the manifest's (altered or damaged)"
    return None


def file_sha256(path: Path) -> str:
    """The checksum of a file, which is read in parts."""
    refuse_special(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_damage(folder: Path, entries: Sequence[ShardEntry]) -> str | None:
    """Say what is wrong with the first damaged shard, or None; compares checksums."""
    damages = (damage_of(folder, entry, verify=True) for entry in entries)
    return next(filter(None, damages), None)


def shards_sha256(manifest: dict[str, Any]) -> str:
    """A hash of the contents of a finished folder's shards and, for tokens, of the tokenizer."""
    content = [manifest.get("tokenizer_sha256"), *(entry["sha256"] for entry in manifest["shards"])]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _refuse_other(
    folder: Path, form: ShardFormat, found: dict[str, Any], wanted: dict[str, Any]
) -> None:
    words = {"inputs_sha256": form.inputs, "tokenizer_sha256": "tokenizer", "settings": "settings"}
    different = [word for key, word in words.items() if found.get(key) != wanted.get(key)]
    if different:
        raise UserError(
            f"{folder}: holds {form.made} with other {' and '.join(different)}: "
            "choose another --out, or delete that folder"
        )


def _to_json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, allow_nan=False) + "\n").encode()
