"""Settings of the course page."""

from dataclasses import dataclass

from selfsup.errors import UserError
from selfsup.settings import shared_flags
from selfsup.settings.fields import argument, check_values, flag


@dataclass(frozen=True, kw_only=True)
class ExplainSettings:
    """Explain self-supervised learning on your own sentence, in one HTML page.

    The page takes a text through masked language modelling and next-sentence prediction, and a
    picture through inpainting and jigsaw, with the code that pre-trains. It is a single file that
    needs no network. Nothing is trained but a small tokenizer.

    Examples:
      selfsup explain "The heart pumps blood through the body."
      selfsup explain "심장은 온몸으로 피를 보냅니다." --language ko
      selfsup explain "It rains." --text-pair "The street is wet." --image photo.jpg
      selfsup explain "The patient was given aspirin." --model runs/mine
    """

    text: str = argument("a sentence, or a longer text", metavar="TEXT")
    text_pair: str | None = flag(
        "second text, that follows TEXT, for next-sentence prediction", default=None,
        group="Data", metavar="TEXT",
    )  # fmt: skip
    image: str | None = flag(
        "picture to take apart; by default one that comes with scikit-learn", default=None,
        group="Data", metavar="FILE",
    )  # fmt: skip
    model: str | None = flag(
        "pre-training run, of text or of images, whose predictions to show", default=None,
        group="Data", metavar="RUN",
    )  # fmt: skip
    language: str = flag(
        "language of the page; auto means Korean for a Korean TEXT, else English", default="auto",
        group="Run", choices=("auto", "en", "ko"),
    )  # fmt: skip
    out: str = flag("file to write", default="explain.html", group="Run", metavar="FILE")
    seed: int = shared_flags.seed()

    def __post_init__(self) -> None:
        check_values(self)
        if not self.text.strip():
            raise UserError("TEXT is empty: give a sentence in quotes")
        if self.text_pair is not None and not self.text_pair.strip():
            raise UserError("--text-pair is empty: give a sentence in quotes, or leave it out")
