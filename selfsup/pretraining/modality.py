"""Text or images: which of them a pre-training learns from, and what each must provide.

``choose_modality`` chooses by the flags, else by the data. ``Pretraining`` is what the run
and its log ask of ``TextPretraining`` and ``ImagePretraining``.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from selfsup.corpus.readers.inputs import find_inputs
from selfsup.encoder.config import BERT_SIZES, VIT_SIZES
from selfsup.encoder.huggingface.config import read_model_type
from selfsup.encoder.huggingface.folder import resolve_model_folder
from selfsup.errors import UserError
from selfsup.images.files import find_images
from selfsup.settings.fields import flag_name
from selfsup.settings.objectives import IMAGE_OBJECTIVES, Measurement
from selfsup.settings.pretrain import (
    FLAGS_FOR_IMAGES,
    FLAGS_FOR_TEXT,
    PretrainSettings,
    ResolvedPretrainSettings,
)
from selfsup.shards.folder import MANIFEST_FILE, PROGRESS_FILE
from selfsup.shards.images import IMAGE_SHARDS
from selfsup.shards.tokens import TOKEN_SHARDS, TokenResumeState
from selfsup.structured_files import read_json
from selfsup.training.loop import Stage

Modality = Literal["text", "images"]

USUAL_ENCODER: dict[Modality, str] = {"text": "bert-mini", "images": "vit-tiny"}


@dataclass(frozen=True)
class SizeDefaults:
    """Defaults for an encoder of a size."""

    batch_size: int
    learning_rate: float
    dropout: float = 0.0
    start: str = "random"
    optimizer: str = "adamw"


class Pretraining(ABC):
    """A model that is about to be pre-trained on one kind of data, and that data.

    Attributes:
        unit: what the run's size is counted in.
        held_out_unit: what is held out to measure on.
        quick_size: how much of it, in ``unit``, is measured on while the run goes on.
        measurements: what is measured.
        settings: of the run.
        model: on its device; it has an ``encoder`` and ``training_flops(batch)``.
        stages: the parts of the run with their batches.
        data_sha256: the data's checksum.
    """

    unit: ClassVar[Literal["tokens", "images"]]
    held_out_unit: ClassVar[str]
    quick_size: ClassVar[int]
    measurements: ClassVar[tuple[Measurement, ...]]
    resolved_class: ClassVar[type[ResolvedPretrainSettings]] = ResolvedPretrainSettings
    settings: Any
    model: Any
    stages: Sequence[Stage]
    data_sha256: str
    _held_out: Any

    @staticmethod
    @abstractmethod
    def resolve(settings: PretrainSettings) -> ResolvedPretrainSettings:
        """Choose what the settings leave open, to suit the encoder and the data.

        Raises:
            UserError: flags that do not go together, or data that cannot be read.
        """

    @staticmethod
    @abstractmethod
    def check_data(settings: ResolvedPretrainSettings) -> None:
        """Check the data as far as is possible before anything is written.

        Raises:
            UserError: there is no such data, or it does not fit the settings.
        """

    def __init__(
        self,
        settings: Any,
        run: Path,
        device: torch.device,
        is_resumed: bool,
        is_new: bool,
        objectives_by_default: bool,
    ) -> None:
        """Open the data and build the model as it is before its first step.

        Args:
            settings: of the run.
            run: the run's folder; data that must be prepared first is prepared there.
            device: what to compute on.
            is_resumed: whether the folder's contents were made under these same settings.
            is_new: whether the model's first weights matter; if not, a checkpoint overwrites them.
            objectives_by_default: whether an objective that cannot be learned from the data may be
                left out of ``settings``; if not, it is refused.

        Raises:
            UserError: the data cannot be read, or there is too little of it, or the model of
                --init cannot be read.
        """
        self.settings, self._run, self._device = settings, run, device
        self._objectives_by_default = objectives_by_default
        self._open(is_resumed, is_new)

    @abstractmethod
    def _open(self, is_resumed: bool, is_new: bool) -> None:
        """Set ``data_sha256``, ``model`` on its device, ``stages`` and ``_held_out``."""

    @property
    def held_out_size(self) -> int:
        """How many tokens or images are held out."""
        return len(self._held_out)

    @abstractmethod
    def count(self, batch: Any) -> int:
        """How many tokens or images a batch holds."""

    def measure(self, limit: int | None) -> dict[str, float | None]:
        """Measure on the held-out data, on all of it or on about ``limit`` tokens or images.

        Returns:
            a value for the key of each of ``measurements``, None for what is not learned.
        """
        return self._held_out.measure(self.model, self._device, limit)

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What else the summary says, when the run has ended."""

    @abstractmethod
    def save(self, folder: Path, summary: dict[str, Any]) -> None:
        """Write the model's folder, with a model card that quotes the summary."""


def holds_text(source: str) -> bool:
    """Whether a path, a glob or a URL names at least one file of text."""
    return _finds_any(lambda: find_inputs([source]))


def holds_images(source: str) -> bool:
    """Whether a path names at least one image, or a folder of decoded ones."""
    return is_image_shards(Path(source)) or _finds_any(lambda: find_images(source))


def _finds_any(find: Callable[[], Sequence[Any]]) -> bool:
    try:
        return bool(find())
    except UserError:
        return False


def is_image_shards(folder: Path) -> bool:
    """Whether a folder holds decoded images, complete."""
    return _format_of(folder) == IMAGE_SHARDS.name


def is_token_shards(folder: Path) -> bool:
    """Whether ``prepare`` wrote to a folder, even if it is unfinished or its files are damaged."""
    known = _format_of(folder)
    if known is not None:
        return known == TOKEN_SHARDS.name
    # A user's own files may have these names too, but not beside a tokenizer.
    has_tokenizer = (folder / "tokenizer" / "tokenizer.json").exists()
    made = (MANIFEST_FILE, PROGRESS_FILE)
    return TokenResumeState.load(folder) is not None or (
        has_tokenizer and any((folder / name).exists() for name in made)
    )


def _format_of(folder: Path) -> str | None:
    """The format that the manifest in a folder names; None if no manifest can be read."""
    try:
        manifest = read_json(folder / MANIFEST_FILE, Any)
    except UserError:
        return None
    return str(manifest.get("format", "")) if isinstance(manifest, dict) else ""


def shards_folder(sources: Sequence[str], modality: Modality) -> Path | None:
    """The folder of prepared data among the sources; None if there is none.

    Raises:
        UserError: there are other sources beside it.
    """
    is_shards = is_token_shards if modality == "text" else is_image_shards
    folders = [Path(source) for source in sources if is_shards(Path(source))]
    if folders and len(sources) > 1:
        what = "shards" if modality == "text" else "decoded images"
        raise UserError(f"{folders[0]}: a folder of {what} must be the only DATA")
    return folders[0] if folders else None


def refuse_runs(
    sources: Sequence[str], name: str, what: str, is_shards: Callable[[Path], bool]
) -> None:
    """Refuse a run's folder as data.

    Raises:
        UserError: one of the sources is a run. If its folder ``name`` holds prepared data, the
            message says that it holds ``what``, and to take that.
    """
    run = next((Path(source) for source in sources if (Path(source) / "run.yaml").exists()), None)
    if run is not None:
        fix = f"--init {run} goes on from its model"
        if is_shards(run / name):
            fix += f"; {what} {run / name}"
        raise UserError(f"{run}: is a run, and no data: {fix}")


def add_modality_hint(error: UserError, sources: Sequence[str], modality: Modality) -> UserError:
    """The error of reading sources as one modality, with a hint if they hold the other."""
    other, holds_other = ("images", holds_images) if modality == "text" else ("text", holds_text)
    if not all(map(holds_other, sources)):
        return error
    return UserError(
        f"{error}; as it holds {other}, name an encoder for these, such as --encoder "
        f"{USUAL_ENCODER[other]}"
    )


def choose_modality(settings: PretrainSettings) -> Modality:
    """What the objectives learn from, else what the encoder or --init takes, else the data.

    Raises:
        UserError: these do not go together, or a flag is for the other modality.
    """
    if settings.init is not None and settings.encoder is not None:
        raise UserError(
            f"--encoder {settings.encoder}: leave it out with --init {settings.init}, which is one"
        )
    learned = modality_of_objectives(settings)
    taken = _modality_of_encoder(settings)
    if learned is not None and taken is not None and learned != taken:
        assert settings.objectives is not None
        named = f"--init {settings.init}" if settings.init else f"--encoder {settings.encoder}"
        raise UserError(
            f"{named}: takes {taken}, but --objectives {' '.join(settings.objectives)} is learned "
            f"from {learned}: leave one of the flags out, or take "
            f"--encoder {USUAL_ENCODER[learned]}"
        )
    modality = learned or taken or _modality_of_data(settings.data)
    _check_flags(settings, modality)
    return modality


def _modality_of_data(sources: Sequence[str]) -> Modality:
    """Images if all of the sources hold images, else text.

    Raises:
        UserError: a source holds both.
    """
    of_images = [source for source in sources if holds_images(source)]
    both = next((source for source in of_images if holds_text(source)), None)
    if both is not None:
        raise UserError(
            f"{both}: holds images and text: say which to learn from, --encoder "
            f"{USUAL_ENCODER['images']} or --encoder {USUAL_ENCODER['text']}"
        )
    return "images" if of_images and len(of_images) == len(sources) else "text"


def modality_of_objectives(settings: PretrainSettings) -> Modality | None:
    """What the objectives learn from; None if no objectives are named.

    Raises:
        UserError: some learn from text, some from images.
    """
    if settings.objectives is None:
        return None
    of_images = [name for name in settings.objectives if name in IMAGE_OBJECTIVES]
    of_text = [name for name in settings.objectives if name not in IMAGE_OBJECTIVES]
    if of_images and of_text:
        raise UserError(
            f"--objectives {' '.join(settings.objectives)}: {' and '.join(of_text)} is learned "
            f"from text, {' and '.join(of_images)} from images: name objectives of one kind"
        )
    return "images" if of_images else "text"


def _modality_of_encoder(settings: PretrainSettings) -> Modality | None:
    if settings.init is not None:
        model_type = read_model_type(resolve_model_folder(settings.init))
        return "images" if model_type == "vit" else "text"
    if settings.encoder is None:
        return None
    if settings.encoder not in BERT_SIZES and settings.encoder not in VIT_SIZES:
        raise UserError(
            f"--encoder {settings.encoder}: no encoder is called so: for text there are "
            f"{', '.join(BERT_SIZES)}, for images {', '.join(VIT_SIZES)}"
        )
    return "images" if settings.encoder in VIT_SIZES else "text"


def _check_flags(settings: PretrainSettings, modality: Modality) -> None:
    is_text = modality == "text"
    names, other = (FLAGS_FOR_IMAGES, "images") if is_text else (FLAGS_FOR_TEXT, "text")
    for field in dataclasses.fields(settings):
        if field.name in names and getattr(settings, field.name) != field.default:
            raise UserError(
                f"{flag_name(field)} is for {other}, and this run learns from {modality}: leave it "
                "out"
            )
