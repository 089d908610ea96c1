"""The settings of each command, as a frozen dataclass. Nothing here needs torch.

A field is a flag of the command line and a key of the YAML file. It is declared with its help, its
default and its range.
"""

from selfsup.settings.corpus import PrepareSettings, TrainTokenizerSettings
from selfsup.settings.demo import DemoSettings
from selfsup.settings.explain import ExplainSettings
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.inference import EvaluateSettings, FillMaskSettings, PredictSettings
from selfsup.settings.inspection import DoctorSettings, ReportSettings
from selfsup.settings.pretrain import PretrainSettings, ResumeSettings

__all__ = [
    "DemoSettings",
    "DoctorSettings",
    "EvaluateSettings",
    "ExplainSettings",
    "FillMaskSettings",
    "FinetuneSettings",
    "PredictSettings",
    "PrepareSettings",
    "PretrainSettings",
    "ReportSettings",
    "ResumeSettings",
    "TrainTokenizerSettings",
]
