"""The steps of the course: hidden tokens, pairs and a picture are those of the pre-training."""

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from selfsup.errors import UserError
from selfsup.explain.course import take_course
from selfsup.explain.guesses import TextModel, load_model
from selfsup.explain.image_steps import take_picture_apart
from selfsup.explain.text_steps import (
    PROBABILITY,
    SHARES,
    Hider,
    Pairs,
    as_sequence,
    learn_tokenizer,
    sentences_of,
)
from selfsup.inference.fill_mask import fill_mask
from selfsup.settings.explain import ExplainSettings
from tests.toy_corpus import toy_documents
from tests.toy_tasks import write_toy_model

TEXT = "The cat sees 12 small birds near the old house. The dog hears the sailor."


@pytest.fixture(scope="module")
def tokenizer():
    return learn_tokenizer(toy_documents(20), [TEXT])


@pytest.fixture(scope="module")
def hider(tokenizer):
    return Hider(tokenizer)


@pytest.fixture(scope="module")
def sequence(tokenizer, hider):
    return as_sequence(sentences_of(TEXT, "en", tokenizer), hider.special, 128)


def test_the_sequence_is_what_the_tokenizer_makes_of_the_text(sequence, tokenizer):
    assert sequence.input_ids.tolist() == tokenizer.encode(TEXT).ids


def test_a_long_text_is_cut_to_a_sequence(tokenizer, hider):
    long = as_sequence(sentences_of(" ".join([TEXT] * 20), "en", tokenizer), hider.special, 32)
    assert long.input_ids.tolist() == [*tokenizer.encode(" ".join([TEXT] * 20)).ids[:31],
                                       hider.special.sep]  # fmt: skip


def test_only_chosen_tokens_change_and_each_action_is_what_it_says(sequence, hider):
    for seed in range(40):
        hidden = hider.hide(sequence, seed)
        others = np.delete(np.arange(len(hidden.seen)), hidden.rows)
        assert (hidden.seen[others] == sequence.input_ids[others]).all()
        assert (hidden.answers == sequence.input_ids[hidden.rows]).all()
        for seen, answer, action in zip(
            hidden.seen[hidden.rows], hidden.answers, hidden.actions, strict=True
        ):
            became = {hider.special.mask: "mask", answer: "same"}.get(seen, "random")
            assert action == became


def test_over_many_seeds_the_shares_are_those_of_the_paper(sequence, hider):
    shares = hider.shares(sequence, seed=7)
    assert shares["chosen"] == pytest.approx(PROBABILITY, abs=0.01)
    assert {name: shares[name] for name in SHARES} == pytest.approx(SHARES, abs=0.03)
    assert sum(shares[name] for name in SHARES) == pytest.approx(1)


def test_where_a_seed_chooses_nothing_the_next_that_does_is_taken(tokenizer, hider):
    short = as_sequence(sentences_of("cat", "en", tokenizer), hider.special, 128)
    nothing = next(seed for seed in range(99) if not len(hider.hide(short, seed).rows))
    hidden = hider.first_that_hides(short, nothing)
    assert hidden.seed > nothing
    assert len(hidden.rows) >= 1


def test_a_pair_that_follows_is_the_two_texts_and_a_random_one_is_not(tokenizer, hider):
    own = [sentences_of(text, "en", tokenizer)[0] for text in ("The cat sees.", "The dog hears.")]
    others = [sentences_of(text, "en", tokenizer) for text in toy_documents(3)]
    pairs = Pairs([own, *others], hider.special, 64)
    following, random = (pairs.first_with(label, 0, seed=0) for label in (0, 1))
    assert following is not None and random is not None  # noqa: PT018
    whole = tokenizer.encode("The cat sees.", "The dog hears.")
    assert following.input_ids.tolist() == whole.ids
    assert following.segments.tolist() == whole.type_ids
    assert random.input_ids.tolist()[: len(own[0]) + 2] == whole.ids[: len(own[0]) + 2]
    assert random.input_ids.tolist() != whole.ids
    assert pairs.random_share(0, seed=0) == pytest.approx(0.5, abs=0.12)


def test_a_model_of_text_predicts_what_fill_mask_and_transformers_do(tmp_path):
    folder = write_toy_model(tmp_path / "model")
    model = load_model(str(folder))
    assert isinstance(model, TextModel)
    seen = np.array(model.tokenizer.encode("the [MASK] was [MASK]").ids)
    rows, answers = np.array([2, 4]), np.array([6, 9])
    guesses = model.at(seen, rows, answers)
    for guess, filled in zip(guesses, fill_mask(folder, "the [MASK] was [MASK]"), strict=True):
        best = {each["token"]: each["probability"] for each in filled["candidates"]}
        assert dict(guess["guesses"]) == pytest.approx(best, abs=1e-6)

    theirs = transformers.BertForPreTraining.from_pretrained(folder).eval()
    pair = model.tokenizer.encode("a film", "the plot")
    with torch.inference_mode():
        scores = theirs(torch.tensor([pair.ids]), token_type_ids=torch.tensor([pair.type_ids]))
    probability = scores.seq_relationship_logits.softmax(-1)[0, 0]
    follows = model.follows(np.array(pair.ids), np.array(pair.type_ids))
    assert follows == pytest.approx(float(probability), abs=1e-6)


@pytest.mark.parametrize("objectives", [("mlm",), ("nsp",), ("mlm", "nsp")])
def test_only_what_a_model_has_learned_is_asked_of_it(objectives, tmp_path):
    folder = write_toy_model(tmp_path / "model", *objectives)
    course = take_course(
        ExplainSettings(text="The film is fine. The plot was dull.", model=str(folder))
    )
    assert bool(course.guesses) == ("mlm" in objectives)
    assert all((named.follows is not None) == ("nsp" in objectives) for named in course.pairs)


def test_a_text_that_a_model_has_no_token_of_is_refused(tmp_path):
    folder = write_toy_model(tmp_path / "model")
    with pytest.raises(UserError, match=r"TEXT is \[UNK\] to the tokenizer of --model"):
        take_course(ExplainSettings(text="심장", model=str(folder)))


def test_a_picture_has_three_quarters_of_its_patches_hidden_and_all_tiles_shuffled():
    steps = take_picture_apart(None, seed=3, model=None)
    assert steps.facts["hidden"] == 0.75 * steps.facts["patches"]
    every = torch.cat([steps.masked.visible_positions, steps.masked.missing_positions], 1)
    assert sorted(every[0].tolist()) == list(range(steps.facts["patches"]))
    assert sorted(steps.shuffled.positions[0].tolist()) == list(range(steps.facts["patches"]))
    assert len(set(steps.pictures.values())) == len(steps.pictures)
    again = take_picture_apart(None, seed=3, model=None)
    assert again.pictures == steps.pictures
    assert take_picture_apart(None, seed=4, model=None).pictures != steps.pictures


def test_the_visible_patches_are_those_of_the_file(tmp_path):
    file = tmp_path / "half.png"
    pixels = np.zeros((192, 192, 3), np.uint8)
    pixels[:, 96:] = (255, 0, 0)
    Image.fromarray(pixels).save(file)
    steps = take_picture_apart(str(file), seed=0, model=None)
    is_right = steps.masked.visible_positions[0] % steps.config.grid >= steps.config.grid // 2
    red = steps.masked.visible[0].view(-1, 3, steps.config.patch_size**2)[:, 0].float().mean(1)
    assert (red == 255 * is_right).all()


@pytest.mark.parametrize("kind", ["missing", "text", "folder", "tiny"])
def test_a_picture_that_cannot_be_read_is_refused(kind: str, tmp_path):
    file = tmp_path / f"{kind}.png"
    if kind == "text":
        file.write_text("no picture")
    elif kind == "folder":
        file.mkdir()
    elif kind == "tiny":
        Image.new("RGB", (2, 2)).save(file)
    with pytest.raises(UserError, match=rf"^--image .*{kind}.png: "):
        take_picture_apart(str(file), seed=0, model=None)
