"""`selfsup explain`: the page and the answer, for the kinds of texts that people give."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from selfsup import cli
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import vit_config
from selfsup.encoder.layers import initialize
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.explain import text_steps
from selfsup.explain.run import explain
from selfsup.explain.texts import WORDS
from selfsup.pretraining.images.model import ImagePretrainingModel, save_image_pretraining
from selfsup.settings.explain import ExplainSettings
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.encoders import Limits
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import save_task_model
from tests.report.outline import Outline
from tests.tokenizer_folder import text_preparation
from tests.toy_tasks import CONFIG, toy_tokenizer, write_toy_model, write_toy_vit

ENGLISH, KOREAN = "The heart pumps blood. Nobody notices it.", "심장은 온몸으로 피를 보냅니다."


@pytest.fixture(autouse=True)
def few_seeds(monkeypatch):
    monkeypatch.setattr(text_steps, "SEEDS_COUNTED", 40)
    monkeypatch.setattr(text_steps, "PAIR_SEEDS_COUNTED", 20)


def explained(out: Path, text: str, **flags: Any) -> tuple[dict[str, Any], Outline]:
    result = explain(ExplainSettings(text=text, out=str(out), **flags))
    return result, Outline(out.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENGLISH, "en"),
        (KOREAN, "ko"),
        ("cat", "en"),
        ("고양이", "ko"),
        ("고양이 sat on the mat, ㅋㅋㅋ 뷁", "ko"),
        ("Ünïcödé naïve §4", "en"),
        ("😀 👍🏽 ok", "en"),
        ("💊", "en"),
        ("你好，世界。", "en"),
        ("שלום עולם", "en"),
        ("?!", "en"),
        ("<b>5 & 6</b> \"quoted\" 'so' `code` {braces}", "en"),
        ("a [MASK] in the text", "en"),
        ("\ufeffOne paragraph.\n\n\tAnother one.", "en"),
        (unicodedata.normalize("NFD", "한국어 문장입니다."), "ko"),
        (" ".join(f"word{number % 97} is here." for number in range(350)), "en"),
        (" ".join(f"낱말{number % 97}이 있습니다." for number in range(350)), "ko"),
        ("supercalifragilistic" * 4, "en"),
    ],
)
def test_every_kind_of_text_becomes_a_page_in_its_language(text: str, language: str, tmp_path):
    result, page = explained(tmp_path / "page.html", text)
    assert result["language"] == language
    assert ("html", "lang", language) in page.attributes
    assert page.of("h1") == [WORDS[language]["title"]]
    shown = page.of("b")
    assert shown[: len(result["tokens"])] == [token.strip() for token in result["tokens"]]
    assert "[UNK]" not in result["tokens"]
    assert 0 < len(result["chosen"]) < len(result["tokens"])
    for each in result["chosen"]:
        assert result["tokens"][each["position"]] == each["token"]
        assert result["reads"][each["position"]] == each["reads"]


def test_the_language_of_the_page_can_be_chosen(tmp_path):
    assert explained(tmp_path / "a.html", ENGLISH, language="ko")[0]["language"] == "ko"
    assert explained(tmp_path / "b.html", KOREAN, language="en")[0]["language"] == "en"


def test_the_page_needs_no_network_and_no_other_file(tmp_path):
    _, page = explained(tmp_path / "page.html", ENGLISH)
    sources = [value for _, name, value in page.attributes if name in ("src", "href")]
    assert sources
    assert all(value and value.startswith("data:image/jpeg;base64,") for value in sources)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "@import" not in text
    assert "<script" not in text


def test_the_same_text_and_seed_give_the_same_page_and_another_seed_another(tmp_path):
    first = explained(tmp_path / "a.html", ENGLISH, seed=3)[0]
    explained(tmp_path / "b.html", ENGLISH, seed=3)
    other = explained(tmp_path / "c.html", ENGLISH, seed=5)[0]
    pages = [(tmp_path / name).read_bytes() for name in ("a.html", "b.html", "c.html")]
    assert pages[0] == pages[1] != pages[2]
    assert first["reads"] != other["reads"]


def test_two_texts_are_the_pair_and_a_single_sentence_has_none_of_its_own(tmp_path):
    result, page = explained(tmp_path / "a.html", "It rains.", text_pair="The street is wet.")
    follows, random = result["pairs"]
    assert "".join(follows["tokens"]).replace("##", "") == (
        "[CLS]itrains.[SEP]thestreetiswet.[SEP]"
    )
    assert [follows["is_random"], random["is_random"]] == [False, True]
    assert set(follows["segments"]) == set(random["segments"]) == {0, 1}
    assert WORDS["en"]["pair_given"] in page.all_text()
    _, alone = explained(tmp_path / "b.html", "It rains.")
    assert WORDS["en"]["pair_course"] in alone.all_text()


def test_a_model_of_text_gives_its_tokenizer_and_its_predictions(tmp_path):
    folder = str(write_toy_model(tmp_path / "model"))
    result, page = explained(tmp_path / "page.html", "The film is fine. A dull plot.", model=folder)
    assert result["tokens"][:5] == ["[CLS]", "the", "film", "is", "fine"]
    assert f"What {folder} predicts there" in page.all_text()
    assert f"{folder} says: B follows A" in page.all_text()


def test_a_model_of_images_shows_its_pictures(tmp_path):
    model = ImagePretrainingModel(VitEncoder(vit_config("vit-mini", 16, 4)), ["jigsaw"])
    initialize(model, 0.02, seed=1)
    save_image_pretraining(tmp_path / "model", model, "# Toy\n")
    result, page = explained(tmp_path / "a.html", ENGLISH, model=str(tmp_path / "model"))
    assert result["patches"] == 16
    assert "of 16 in the right position" in page.all_text()
    assert "model: squared error" not in page.all_text()


def test_a_model_without_a_head_of_pretraining_is_refused(tmp_path):
    with pytest.raises(UserError, match="no head of an objective"):
        explain(ExplainSettings(text="x", model=str(write_toy_vit(tmp_path / "vit"))))
    task, labels = Classification(paired=False), Labels("class", ("0", "1"))
    save_tokenizer(toy_tokenizer(), tmp_path / "tuned")
    save_task_model(
        tmp_path / "tuned",
        task,
        task.build_model(BertEncoder(CONFIG), labels, 0.1),
        labels,
        text_preparation(tmp_path / "tuned", Limits(32, 0)),
        "# Card\n",
    )
    with pytest.raises(UserError, match="no head of an objective"):
        explain(ExplainSettings(text="x", model=str(tmp_path / "tuned")))
    with pytest.raises(UserError, match="no such folder"):
        explain(ExplainSettings(text="x", model=str(tmp_path / "nothing")))


def test_a_course_page_is_written_over_and_nothing_else(tmp_path):
    out = tmp_path / "new" / "page.html"
    explained(out, "one")
    explained(out, "two")
    other = tmp_path / "thesis.html"
    other.write_text("<!doctype html>\n<html>mine</html>")
    for refused in (other, tmp_path):
        with pytest.raises(UserError, match="--out"):
            explain(ExplainSettings(text="x", out=str(refused)))
    assert other.read_text() == "<!doctype html>\n<html>mine</html>"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"text": ""}, "TEXT is empty"),
        ({"text": " \n"}, "TEXT is empty"),
        ({"text": "\u200b"}, "TEXT holds no words"),
        ({"text": "half a character: \udcff"}, "is not UTF-8"),
        ({"text": "x", "text_pair": ""}, "--text-pair is empty"),
        ({"text": "x", "text_pair": "\u200b"}, "--text-pair holds no words"),
        ({"text": "x", "language": "fr"}, "--language must be one of auto, en, ko"),
    ],
)
def test_what_cannot_be_explained_is_refused_and_nothing_is_written(flags, said: str, tmp_path):
    with pytest.raises(UserError, match=said):
        explain(ExplainSettings(out=str(tmp_path / "page.html"), **flags))
    assert not list(tmp_path.iterdir())


def test_the_command_prints_what_was_hidden_and_where_the_page_is(tmp_path, capsys):
    out = str(tmp_path / "page.html")
    assert cli.main(["explain", ENGLISH, "--out", out]) == 0
    printed = capsys.readouterr().out
    assert "Tokens: [CLS] the heart pump" in printed
    assert "becomes [MASK]" in printed
    assert f"Course page: {out} (in English; --language ko: in Korean)" in printed

    assert cli.main(["explain", KOREAN, "--out", out, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["language"] == "ko"
    assert answer["page"] == out


def test_a_text_that_names_a_file_is_taken_as_text_and_a_line_says_so(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("Something else.")
    assert cli.main(["explain", "notes.txt"]) == 0
    out, err = capsys.readouterr()
    assert "Tokens: [CLS] not ##es ." in out
    assert "notes.txt is a file, but TEXT is taken as the text itself" in err
