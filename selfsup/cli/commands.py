"""The commands: what each takes, and the function that does its work.

Nothing heavy is imported before it is known which command runs, so that `selfsup --help` is fast.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from selfsup import settings

Result = dict[str, Any]
"""What a command answers, and `--json` prints."""


class Command(NamedTuple):
    """The dataclass of the command's settings, and its work."""

    settings: type
    run: Callable[[Any], Result]


def demo(chosen: settings.DemoSettings) -> Result:
    if chosen.data == "images":
        from selfsup.demo import images as demo_images

        return demo_images.demo_images(chosen)
    from selfsup.demo import text as demo

    return demo.demo(chosen)


def train_tokenizer(chosen: settings.TrainTokenizerSettings) -> Result:
    from selfsup.corpus import train_tokenizer

    return train_tokenizer.train_tokenizer(chosen)


def prepare(chosen: settings.PrepareSettings) -> Result:
    from selfsup.corpus import prepare

    return prepare.prepare(
        list(chosen.corpus),
        chosen.tokenizer,
        chosen.out,
        workers=chosen.workers,
        text_field=chosen.text_field,
        text_documents=chosen.text_documents,  # pyright: ignore[reportArgumentType]
        language=chosen.language,
        shard_tokens=chosen.shard_tokens,
        max_bad_fraction=chosen.max_bad_fraction,
    ) | {"out": chosen.out}


def pretrain(chosen: settings.PretrainSettings) -> Result:
    from selfsup.pretraining import run as pretrain

    return pretrain.pretrain(chosen)


def resume(chosen: settings.ResumeSettings) -> Result:
    from selfsup.pretraining import run as pretrain

    return pretrain.resume(chosen)


def finetune(chosen: settings.FinetuneSettings) -> Result:
    from selfsup.finetuning import run as finetune

    return finetune.finetune(chosen)


def evaluate(chosen: settings.EvaluateSettings) -> Result:
    from selfsup.inference import evaluate

    return evaluate.evaluate(chosen)


def predict(chosen: settings.PredictSettings) -> Result:
    from selfsup.inference import predict

    return predict.predict(chosen)


def fill_mask(chosen: settings.FillMaskSettings) -> Result:
    from selfsup.inference import fill_mask

    return fill_mask.fill_mask_command(chosen)


def explain(chosen: settings.ExplainSettings) -> Result:
    from selfsup.explain import run as explain

    return explain.explain(chosen)


def report(chosen: settings.ReportSettings) -> Result:
    from selfsup.report import page

    return page.write_report(chosen.runs, chosen.out)


def doctor(chosen: settings.DoctorSettings) -> Result:
    from selfsup.doctor import command as doctor

    return doctor.doctor(chosen)


COMMANDS = {
    "demo": Command(settings.DemoSettings, demo),
    "explain": Command(settings.ExplainSettings, explain),
    "train-tokenizer": Command(settings.TrainTokenizerSettings, train_tokenizer),
    "prepare": Command(settings.PrepareSettings, prepare),
    "pretrain": Command(settings.PretrainSettings, pretrain),
    "resume": Command(settings.ResumeSettings, resume),
    "finetune": Command(settings.FinetuneSettings, finetune),
    "evaluate": Command(settings.EvaluateSettings, evaluate),
    "predict": Command(settings.PredictSettings, predict),
    "fill-mask": Command(settings.FillMaskSettings, fill_mask),
    "report": Command(settings.ReportSettings, report),
    "doctor": Command(settings.DoctorSettings, doctor),
}
