"""Commands on damaged input: standard input, a file of answers, and the doctor on everything."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer
from selfsup.encoder.layers import initialize
from selfsup.tasks.encoders import Limits, TextPreparation
from selfsup.tasks.image_classification.encoding import ImagePreparation
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import TASKS, save_task_model
from tests.fuzz.examples import (
    ANSWERS,
    COLUMNS,
    JSON_LINES,
    PAIRS,
    PARQUET,
    PLAIN,
    SHEETS,
    SQUAD,
    TABLES,
    TAGGED_ROWS,
)
from tests.fuzz.mutations import mutated, mutated_json, mutated_text
from tests.fuzz.target import few, run_command
from tests.fuzz.test_images import ALL
from tests.toy_tasks import CONFIG, VIT_CONFIG, toy_tokenizer

LABELS = {
    "sequence-classification": Labels("class", ("down", "up")),
    "pair-classification": Labels("multi", ("bad", "좋음, 아주")),
    "question-answering": Labels("none"),
    "token-classification": Labels("tag", ("O", "B-GOOD", "I-GOOD")),
    "image-classification": Labels("class", ("across", "down")),
}
LINES = [
    b"a fine film\nthe plot is dull\n", b"the film is\ta fine film\na plot\tdull\n",
    b"image.png\n../other.png\n", b"\xef\xbb\xbffine\r\ndull",
]  # fmt: skip
TEXT_FILES = {
    ".txt": PLAIN, ".jsonl": JSON_LINES, ".csv": TABLES, ".tsv": TABLES, ".conll": COLUMNS,
    ".json": [*SQUAD, *TAGGED_ROWS],
}  # fmt: skip
_LONGEST = 5000  # bytes to predict for
OTHER_FILES = {".parquet": PARQUET, ".xlsx": SHEETS, ".png": ALL}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    """A model folder for each task, with random weights."""
    folders = {}
    for name, labels in LABELS.items():
        task, model_folder = TASKS[name], tmp_path_factory.mktemp(name)
        if name == "image-classification":
            config, preparation = VIT_CONFIG, ImagePreparation(16, 4)
        else:
            save_tokenizer(toy_tokenizer(), model_folder)
            config = CONFIG
            tokenizer = load_tokenizer(model_folder)
            preparation = TextPreparation(tokenizer, Limits(32, 0), model_folder)
        encoder = task.family.build_encoder(config, pooled=task.pooled)
        model = task.build_model(encoder, labels, 0.1)
        initialize(model, 0.3, seed=3)
        save_task_model(model_folder, task, model, labels, preparation, "# Card\n")
        folders[name] = str(model_folder)
    return folders


@pytest.mark.parametrize("task", LABELS)
@few(4)
@given(content=mutated_text(LINES))
def test_lines_on_standard_input(models, task: str, content: bytes):
    lines = content[:_LONGEST]
    names = ("standard input",) if task != "image-classification" else ()
    run_command("predict", models[task], "-", "--device", "cpu", standard_input=lines, names=names)


@pytest.mark.parametrize("task", ["sequence-classification", "pair-classification",
                                  "question-answering", "token-classification"])  # fmt: skip
@few(4)
@given(data=st.data())
def test_data_on_standard_input(models, task: str, data):
    examples = [*TABLES, *JSON_LINES, *PAIRS, *SQUAD, *COLUMNS]
    content = data.draw(mutated_text(examples))[:_LONGEST]
    form = data.draw(st.sampled_from((None, None, "json", "jsonl", "csv", "tsv", "conll", "txt")))
    flags = ["--data-format", form] if form else []
    run_command("predict", models[task], "--data", "-", "--device", "cpu", *flags,
                standard_input=content, names=("standard input",))  # fmt: skip


@few(2)
@given(
    answers=mutated_json(ANSWERS) | mutated_text(ANSWERS),
    questions=st.sampled_from(SQUAD) | mutated_json(SQUAD),
)
def test_evaluate_of_a_file_of_answers(folder: Path, answers: bytes, questions: bytes):
    (folder / "answers.json").write_bytes(answers)
    (folder / "questions.json").write_bytes(questions)
    run_command("evaluate", "--predictions-file", str(folder / "answers.json"), "--json",
                "--data", str(folder / "questions.json"),
                names=("answers.json", "questions.json"))  # fmt: skip


@pytest.mark.parametrize("ending", [*TEXT_FILES, *OTHER_FILES])
@few(2)
@given(data=st.data())
def test_doctor(folder: Path, ending: str, data):
    examples = TEXT_FILES.get(ending) or OTHER_FILES[ending]
    damage = mutated_text if ending in TEXT_FILES else mutated
    file = folder / f"data{ending}"
    file.write_bytes(data.draw(damage(examples)))
    run_command("doctor", str(file), "--json", names=(file.name,))


@few(4)
@given(data=st.data())
def test_doctor_of_a_folder(tmp_path_factory, data):
    parent = tmp_path_factory.mktemp("data")
    for number in range(data.draw(st.integers(0, 3))):
        ending = data.draw(st.sampled_from([*TEXT_FILES, *OTHER_FILES]))
        examples = TEXT_FILES.get(ending) or OTHER_FILES[ending]
        (parent / f"{number}{ending}").write_bytes(data.draw(mutated(examples)))
    run_command("doctor", str(parent), names=(parent.name,))
