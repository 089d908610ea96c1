"""Links planted in a folder that others gave, under every name that a command writes there.

The file or folder that a link leads to stays as it is: the command replaces the link, or refuses it
in one line. ``NAMES`` lists what each command writes, and a test holds it against what it does.
"""

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfsup.corpus.prepare import prepare
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.errors import UserError
from selfsup.finetuning import run as finetuning_module
from selfsup.finetuning.run import finetune
from selfsup.finetuning.run import resume as resume_finetuning
from selfsup.images.files import find_images
from selfsup.images.pixels import ResizeShorterSide
from selfsup.images.prepare import prepare_images
from selfsup.pretraining import run as pretraining_module
from selfsup.pretraining.run import pretrain, resume
from selfsup.report.page import write_report
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.pretrain import PretrainSettings, ResumeSettings
from selfsup.shards.tokens import TokenResumeState
from tests.toy_corpus import write_toy_corpus
from tests.toy_tasks import (
    ON_CPU,
    toy_settings,
    toy_tokenizer,
    write_toy_file,
    write_toy_images,
    write_toy_model,
)

_TOKENIZER = (".saving", "vocab.txt", "tokenizer_config.json", "tokenizer.json")
_MODEL = (".saving", "README.md", "config.json", "model.safetensors")
_TEXT_MODEL = (*_MODEL, *_TOKENIZER[1:])


def inside(folder: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return (folder, *(f"{folder}/{name}" for name in names))


_RESULTS = ("metrics.jsonl", "summary.json")
_PREPARED = (
    "progress.json", "manifest.json", "problems.jsonl", "shard-00000.safetensors",
    "hashes-00000.u64",
)  # fmt: skip
NAMES: dict[str, tuple[str, ...]] = {
    "train-tokenizer": _TOKENIZER,
    "prepare": (
        ".lock", *_PREPARED, ".shard-00000.safetensors.tokens", *inside("tokenizer", _TOKENIZER),
    ),
    "prepare images": (".lock", *_PREPARED[:-1]),
    "pretrain": (".lock", "run.yaml", *_RESULTS, "model", "shards", "checkpoints",
                 *inside("tokenizer", _TOKENIZER)),
    "resume": (
        ".lock", *_RESULTS, *inside("model", _TEXT_MODEL), "checkpoints",
        "checkpoints/.step-000000003.tmp", "checkpoints/step-000000003",
    ),
    "resume images": (
        ".lock", *_RESULTS, *inside("model", (*_MODEL, "preprocessor_config.json")),
        "checkpoints", "checkpoints/.step-000000003.tmp", "checkpoints/step-000000003",
        *inside("pictures", (
            "01-original.png", "01-visible.png", "01-reconstruction.png", "01-tiles.png",
            "01-shuffled.png", "01-restored.png", "pictures.json",
        )),
    ),
    "finetune": (".lock", "run.yaml", *_RESULTS, "model", "checkpoints",
                 "validation_predictions.jsonl"),
    "resume finetuning": (
        ".lock", *_RESULTS, "validation_predictions.jsonl", *inside("model", _TEXT_MODEL),
        "checkpoints", "checkpoints/.step-000000003.tmp", "checkpoints/step-000000003",
    ),
    "report": ("report.html",),
}  # fmt: skip
# Without its own content under this name, a command refuses the folder as that of somebody else.
_OWN = {"prepare": "progress.json", "pretrain": "run.yaml", "finetune": "run.yaml"}
_RUNS = ("pretrain", "resume", "resume images", "finetune", "resume finetuning")


@contextlib.contextmanager
def interrupted(module: object, name: str) -> Iterator[None]:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(module, name, stop)
        yield


class Commands:
    """Each command's folder, as it is before, and the command."""

    def __init__(self, base: Path) -> None:
        self.base = base
        write_toy_corpus(base / "texts.txt", 40)
        (base / "texts.jsonl").write_text('{"text": "One. Two."}\nnot JSON\n')
        write_toy_images(base / "pictures", 3)
        (base / "pictures" / "plain" / "bad.png").write_bytes(b"no image")
        for number, name in enumerate(("train", "dev")):
            write_toy_file(base / f"{name}.tsv", 16, seed=number)
        write_toy_model(base / "encoder")
        save_tokenizer(toy_tokenizer(), base / "tokenizer")
        self._folders: dict[str, Path] = {}

    def before(self, command: str) -> Path:
        """A folder in which the command begins or goes on."""
        if command not in self._folders:
            folder = self._folders[command] = self.base / f"before {command}"
            make = {
                "prepare": self._begun_shards, "resume": self._stopped_pretraining,
                "resume images": self._stopped_images, "finetune": self._begun_finetuning,
                "resume finetuning": self._stopped_finetuning, "pretrain": self._begun,
                "report": self._ended,
            }.get(command, Path.mkdir)  # fmt: skip
            make(folder)
        return self._folders[command]

    def run(self, command: str, folder: Path) -> None:
        if command == "train-tokenizer":
            save_tokenizer(toy_tokenizer(), folder)
        elif command == "prepare":
            self._prepare(folder)
        elif command == "prepare images":
            self._decode(folder)
        elif command == "pretrain":
            pretrain(self._pretraining(folder))
        elif command == "finetune":
            finetune(self._finetuning(folder))
        elif command == "resume finetuning":
            resume_finetuning(ResumeSettings(run=str(folder)))
        elif command == "report":
            write_report([folder], None)
        else:
            resume(ResumeSettings(run=str(folder)))

    def _prepare(self, folder: Path) -> None:
        sources = [str(self.base / name) for name in ("texts.txt", "texts.jsonl")]
        prepare(sources, self.base / "tokenizer", folder, workers=1, max_bad_fraction=1.0,
                show_progress=False)  # fmt: skip

    def _decode(self, folder: Path) -> None:
        pictures = self.base / "pictures"
        prepare_images(find_images(str(pictures)), pictures, folder, ResizeShorterSide(16),
                       workers=1, max_bad_fraction=1.0, show_progress=False)  # fmt: skip

    def _pretraining(self, folder: Path, **changed: Any) -> PretrainSettings:
        values: dict[str, Any] = {
            "data": (str(self.base / "texts.txt"),), "out": str(folder), "encoder": "bert-tiny",
            "steps": 3, "batch_size": 4, "max_length": 32, "workers": 1, "start": "random",
            "vocab_size": 150, "checkpoint_every": 1, **ON_CPU,
        }  # fmt: skip
        return PretrainSettings(**(values | changed))

    def _finetuning(self, folder: Path) -> FinetuneSettings:
        return toy_settings(self.base, folder, epochs=3, checkpoint_every=1)

    def _begun_shards(self, folder: Path) -> None:
        """The state before the first shard, as an interrupted call leaves it."""
        self._prepare(folder)
        shutil.copytree(folder, kept := self.base / "kept")
        shutil.rmtree(folder)
        folder.mkdir()
        manifest = json.loads((kept / "manifest.json").read_bytes())
        names = ("inputs_sha256", "settings", "tokenizer_sha256")
        TokenResumeState({name: manifest[name] for name in names}).save(folder)

    def _begun(self, folder: Path) -> None:
        with interrupted(pretraining_module, "_run"):
            pretrain(self._pretraining(folder))

    def _begun_finetuning(self, folder: Path) -> None:
        with interrupted(finetuning_module, "train_seeds"):
            finetune(self._finetuning(folder))

    def _stopped_pretraining(self, folder: Path, **changed: Any) -> None:
        # Not after the last step, so that the resumed run saves a checkpoint.
        with interrupted(pretraining_module.PretrainingLog, "_is_time_to_evaluate"):
            pretrain(self._pretraining(folder, **changed))

    def _stopped_images(self, folder: Path) -> None:
        self._stopped_pretraining(
            folder, data=(str(self.base / "pictures"),), encoder="vit-mini", image_size=16,
            patch_size=4, start=None, max_length=PretrainSettings.max_length, vocab_size=None,
            max_bad_fraction=1.0,
        )  # fmt: skip

    def _stopped_finetuning(self, folder: Path) -> None:
        with interrupted(finetuning_module, "summarize"):
            finetune(self._finetuning(folder))

    def _ended(self, folder: Path) -> None:
        finetune(self._finetuning(folder))


@pytest.fixture(scope="module")
def commands(tmp_path_factory) -> Commands:
    return Commands(tmp_path_factory.mktemp("commands"))


def outside(folder: Path, kind: str, original: Path) -> Path:
    """What a link leads to: the original content, or other, or nothing."""
    target = folder / f"outside {len(list(folder.iterdir()))}"
    if kind == "folder":
        shutil.copytree(original, target) if original.is_dir() else target.mkdir()
        (target / "mine").write_bytes(b"mine")
    elif kind == "file":
        if original.is_file():
            shutil.copy(original, target)
        else:
            target.write_bytes(b"mine")
    return target


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


def planted(names: tuple[str, ...], kind: str, folder: Path, elsewhere: Path) -> list[Path]:
    """Put a link under each of the names whose folder is not itself a link; the links."""
    elsewhere.mkdir(exist_ok=True)
    links = []
    for name in names:
        path = folder / name
        if any(parent.is_symlink() for parent in path.parents):
            continue
        path.parent.mkdir(exist_ok=True)
        target = outside(elsewhere, kind, path)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        links.append(path)
    return links


CASES = [(command, kind) for command in NAMES for kind in ("file", "folder", "dangling")]


@pytest.mark.parametrize(("command", "kind"), CASES)
def test_a_planted_link_is_replaced_or_refused(command, kind, commands, tmp_path):
    """The links that are refused are removed one by one, until the command ends well."""
    names = [name for name in NAMES[command] if "/" not in name]
    deeper = [name for name in NAMES[command] if "/" in name]
    if kind != "file" and command in _OWN:
        names.remove(_OWN[command])
    if command in _RUNS and kind != "dangling":
        names.remove("summary.json")  # a run that has one has ended
    # A link in place of a folder hides the names inside, so these come second.
    for number, group in enumerate((names, deeper)):
        wanted = [n for n in group if number or not any(d.startswith(f"{n}/") for d in deeper)]
        is_done = False
        while not is_done:
            folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
            for path in (folder, elsewhere):
                shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(commands.before(command), folder)
            links = planted(tuple(wanted), kind, folder, elsewhere)
            before = tree(elsewhere)
            try:
                commands.run(command, folder)
                is_done = True
                assert not [link for link in links if link.is_symlink()]
            except (UserError, OSError) as error:  # the command line says both in one line
                refused = [link for link in links if link.is_symlink() and says(error, link)]
                if not refused:
                    raise
                wanted.remove(str(refused[-1].relative_to(folder)))
            assert tree(elsewhere) == before


@pytest.mark.parametrize("kind", ["file", "dangling"])
@pytest.mark.parametrize("command", ["prepare", "pretrain", "resume", "finetune"])
def test_a_link_in_place_of_a_folder_is_refused_by_name(command, kind, commands, tmp_path):
    name = {"prepare": "tokenizer"}.get(command, "checkpoints")
    folder = shutil.copytree(commands.before(command), tmp_path / "folder")
    (link,) = planted((name,), kind, folder, tmp_path / "elsewhere")
    before = tree(tmp_path / "elsewhere")
    with contextlib.suppress(UserError):  # without its checkpoint, a run begins again
        commands.run(command, folder)
        assert not link.is_symlink()
    assert tree(tmp_path / "elsewhere") == before


def says(error: Exception, link: Path) -> bool:
    """Whether a message names a link, or the folder that it is in."""
    named = str(getattr(error, "filename", None) or error)
    return bool(re.search(rf"{re.escape(str(link))}(?![\w/.-])", named)) or str(link) == named


_TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.tmp$")
_recorded: list[str] | None = None


def record(event: str, arguments: tuple) -> None:
    """Note each path that is written, made, renamed to or locked."""
    if _recorded is None:
        return
    if event == "open" and isinstance(arguments[0], str) and isinstance(arguments[2], int):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _recorded.append(arguments[0])
    elif event in ("os.mkdir", "os.rename"):
        _recorded.append(os.fspath(arguments[0 if event == "os.mkdir" else 1]))


sys.addaudithook(record)


@pytest.mark.parametrize("command", NAMES)
def test_the_names_are_all_that_the_command_writes(command, commands, tmp_path):
    global _recorded
    folder = shutil.copytree(commands.before(command), tmp_path / "folder")
    _recorded = []
    try:
        commands.run(command, folder)
    finally:
        written, _recorded = _recorded, None
    paths = [Path(path) for path in written if Path(path).is_relative_to(folder)]
    found = {str(path.relative_to(folder)) for path in paths}
    # Names that nobody can guess, and those inside a folder that was made just before.
    found = {name for name in found - {"."} if not _TEMPORARY.search(name)}
    found = {name for name in found if not re.search(r"(\.saving|\.step-\d+\.tmp)/", name)}
    if command == "pretrain":  # it removes the model's folder; `prepare` writes the shards
        found = {name for name in found if not re.match("(model|shards|checkpoints)/", name)}
    if command == "finetune":
        found = {name for name in found if not re.match("(model|checkpoints)/", name)}
    unlisted = {
        name for name in found if not re.search(r"(step-|/0[2-9]-|seed-)", name)
    } - {*NAMES[command]}  # fmt: skip
    assert not unlisted
