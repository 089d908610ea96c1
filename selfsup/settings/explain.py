"""Settings of the course page."""

from dataclasses import dataclass

from selfsup.errors import UserError
from selfsup.settings import fields
from selfsup.settings.fields import argument, check_values, data_flag, run_flag


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
    text_pair: str | None = data_flag(
        "second text, that follows TEXT, for next-sentence prediction", metavar="TEXT"
    )
    image: str | None = data_flag(
        "picture to take apart; by default one that comes with scikit-learn", metavar="FILE"
    )
    model: str | None = data_flag(
        "pre-training run, of text or of images, whose predictions to show", metavar="RUN"
    )
    language: str = run_flag(
        "language of the page; auto means Korean for a Korean TEXT, else English",
        default="auto",
        choices=("auto", "en", "ko"),
    )
    out: str = run_flag("file to write", default="explain.html", metavar="FILE")
    seed: int = fields.seed()

    def __post_init__(self) -> None:
        check_values(self)
        if not self.text.strip():
            raise UserError("TEXT is empty: give a sentence in quotes")
        if self.text_pair is not None and not self.text_pair.strip():
            raise UserError("--text-pair is empty: give a sentence in quotes, or leave it out")
