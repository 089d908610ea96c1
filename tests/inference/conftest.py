"""A small fine-tuned model as a Python object."""

import pytest

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.layers import initialize
from selfsup.inference.predictor import Predictor
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.encoders import Limits
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import save_task_model
from tests.tokenizer_folder import text_preparation
from tests.toy_tasks import CONFIG, toy_tokenizer

task = Classification(paired=False)

LABELS = Labels("class", ("down", "up"))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_tokenizer(toy_tokenizer(), folder)
    model = task.build_model(BertEncoder(CONFIG), LABELS, 0.1)
    initialize(model, 0.3, seed=3)
    preparation = text_preparation(folder, Limits(8, 0))
    save_task_model(folder, task, model.eval(), LABELS, preparation, "# Card\n")
    return Predictor.load(folder, device="cpu", precision="float32")
