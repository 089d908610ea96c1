"""The report page: whole in itself, and says what the run says."""

import json
import re
import shutil
from pathlib import Path

import pytest

from selfsup.errors import UserError
from selfsup.report.page import write_report
from tests.report.outline import report_on


def test_the_page_of_one_run_lies_in_its_folder_unless_told_otherwise(pretraining_run, tmp_path):
    folder = pretraining_run()
    assert write_report([folder]) == {
        "report": str(folder / "report.html"),
        "runs": [str(folder)],
    }
    out = tmp_path / "new" / "page.html"
    assert write_report([folder], out)["report"] == str(out)
    assert out.read_bytes() == (folder / "report.html").read_bytes()


def test_a_comparison_lies_beside_the_runs(pretraining_run, finetuning_run, tmp_path):
    folders = [pretraining_run(), finetuning_run()]
    assert folders[0].parent == folders[1].parent
    assert write_report(folders)["report"] == str(folders[0].parent / "comparison.html")
    elsewhere = tmp_path / "elsewhere" / "run"
    shutil.copytree(folders[0], elsewhere)
    with pytest.raises(UserError, match="not in one folder: say where to write, --out FILE"):
        write_report([folders[0], elsewhere])


def test_the_page_asks_nothing_of_the_network_or_of_another_file(
    pretraining_run, finetuning_run, demo_run, tmp_path
):
    folders = [pretraining_run(), finetuning_run(), demo_run]
    pages = [report_on(folder) for folder in folders]
    pages.append(report_on(*folders, out=tmp_path / "all.html"))
    for page in pages:
        asking = [a for a in page.attributes if a[1] in ("src", "href", "srcset", "data", "action")]
        assert asking == []
    html = (tmp_path / "all.html").read_text()
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", html)
    assert re.findall(r"https?://[^\"]*", html) in ([], ["http://www.w3.org/2000/svg"])


def test_a_pretraining_page_shows_results_curves_filled_masks_and_settings(pretraining_run):
    page = report_on(pretraining_run(learning_rate=0.002))
    assert page.of("h1") == ["pretrained"]
    shown = page.all_text()
    for result in ("5.778", "20.0 %", "60.0 %", "410k", "8.19k", "50 s", "6.89"):
        assert result in shown
    titles = [label for tag, name, label in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert titles == ["Loss", "Held-out accuracy", "Learning rate", "Sequence length", "Speed"]
    assert "word frequencies alone" in shown
    assert "Paris is the" in shown
    assert "수도" in shown
    assert "learning_rate 0.002" in shown


def test_settings_left_at_their_default_are_folded_away(pretraining_run):
    folder = pretraining_run(learning_rate=0.002)
    html = Path(write_report([folder])["report"]).read_text(encoding="utf-8")
    seen, folded = html.split("<details>")
    assert "<dt>learning_rate</dt>" in seen
    assert "<dt>max_length</dt>" not in seen
    assert "<dt>max_length</dt>" in folded


def test_a_run_that_has_not_ended_shows_what_it_had_logged(pretraining_run):
    page = report_on(pretraining_run(ended=False))
    assert "This run has not ended" in page.all_text()
    assert {"20.0 %", "60.0 %", "410k"} <= {text.replace("\u00a0", " ") for text in page.of("dd")}


def test_a_run_that_has_only_begun_shows_its_settings(pretraining_run):
    folder = pretraining_run(ended=False)
    (folder / "metrics.jsonl").write_text("")
    page = report_on(folder)
    assert "Settings" in page.of("h2")
    assert "Curves" not in page.of("h2")


def test_a_run_that_diverged_is_still_reported(pretraining_run):
    folder = pretraining_run()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 101, "seconds": 51, "tokens": 413696, "loss": NaN, "mlm_loss": NaN}\n')
    (folder / "summary.json").write_text('{"steps": 101, "mlm_loss": NaN}')
    page = report_on(folder)
    assert "Curves" in page.of("h2")
    assert "nan" not in page.all_text().lower()


def test_a_finetuning_page_shows_each_metric_each_seed_and_the_confusions(finetuning_run):
    page = report_on(finetuning_run())
    shown = page.all_text()
    assert "81.0 %" in shown
    assert "± 1.0 % over 3 seeds" in shown
    assert [f"seed {n}" in page.of("text") for n in range(3)] == [True] * 3
    assert {"Validation: Accuracy", "Validation: F1", "Training loss"} <= set(page.of("b"))
    assert page.of("td")[-4:] == ["30", "10", "5", "55"]


def test_a_finetuning_run_of_one_seed_has_no_spread(finetuning_run):
    shown = report_on(finetuning_run(accuracies=(0.8,))).all_text()
    assert "80.0 %" in shown
    assert "±" not in shown


def test_a_demo_page_shows_the_effect_of_pretraining_and_the_pretraining(demo_run):
    page = report_on(demo_run)
    shown = page.all_text()
    assert "Pre-training adds 11.0 points: 71.0 %" in shown
    assert "71.0 % ± 1.0 %" in shown
    assert {"The effect of pre-training", "The pre-training", "Curves"} <= set(page.of("h2"))


@pytest.mark.parametrize(
    ("frozen", "scratch", "said"),
    [
        (0.75, 0.6, "Frozen beats fine-tuned: 75.0 % against 71.0 %."),
        (0.55, 0.705, "Seeds differ by more than that."),
    ],
)
def test_a_demo_says_what_speaks_against_fine_tuning(demo_run, frozen, scratch, said):
    assert said not in report_on(demo_run).all_text()
    file = demo_run / "summary.json"
    summary = json.loads(file.read_text())
    summary["frozen"]["accuracy"]["mean"] = frozen
    summary["scratch"]["accuracy"]["mean"] = scratch
    file.write_text(json.dumps(summary))
    assert said in report_on(demo_run).all_text()


def test_a_demo_takes_the_curves_of_the_pretraining_in_its_folder(demo_run, pretraining_run):
    (demo_run / "metrics.jsonl").unlink()
    assert "Curves" not in report_on(demo_run).of("h2")
    pretraining_run("demo/pretraining")
    assert "Curves" in report_on(demo_run).of("h2")


def test_several_runs_are_drawn_over_each_other_with_their_results_and_differences(
    pretraining_run, tmp_path
):
    runs = [pretraining_run("one", seed=1), pretraining_run("two", seed=2, schedule="wsd")]
    page = report_on(*runs, out=tmp_path / "both.html")
    curves = [
        value for tag, name, value in page.attributes if (tag, name) == ("path", "data-label")
    ]
    assert curves == ["one", "two"] * 5
    shown = page.all_text()
    assert "Held-out loss 5.778 5.778" in shown
    assert "schedule linear wsd" in shown
    assert "seed 1 2" in shown
    assert "max_length" not in shown


def test_the_best_of_several_runs_is_marked(finetuning_run, tmp_path):
    runs = [finetuning_run("worse", (0.7, 0.72)), finetuning_run("better", (0.8, 0.82))]
    out = tmp_path / "both.html"
    write_report(runs, out)
    assert re.findall(r'<td class="best">([^<]*)', out.read_text(encoding="utf-8")) == [
        "81.0\u00a0% ± 1.0\u00a0%"
    ]


def test_pretraining_runs_measured_on_different_data_are_not_ranked(pretraining_run, tmp_path):
    runs = [pretraining_run("one"), pretraining_run("two")]
    summary = json.loads((runs[1] / "summary.json").read_text())
    note = "so they are not ranked"
    for changed, ranked in (({"mlm_loss": 5.5}, True), ({"unigram_loss": 7.5}, False)):
        (runs[1] / "summary.json").write_text(json.dumps(summary | {"mlm_loss": 5.5} | changed))
        page = report_on(*runs, out=tmp_path / "both.html")
        assert (note in page.all_text()) is not ranked
        bold = [value for _, name, value in page.attributes if name == "class"].count("best")
        assert (bold > 0) is ranked


def test_runs_of_the_same_name_are_told_apart_by_the_folders_above(pretraining_run, tmp_path):
    runs = [pretraining_run("a/run"), pretraining_run("b/run")]
    page = report_on(*runs, out=tmp_path / "both.html")
    assert {"a/run", "b/run"} <= set(page.of("th"))


def test_names_and_texts_cannot_break_out_of_the_page(pretraining_run):
    page = report_on(pretraining_run("<script>alert(1)<", data=("<img src=x>",)))
    assert page.of("h1") == ["<script>alert(1)<"]
    assert not any(tag == "img" for tag, _, _ in page.attributes)
    assert "of <France>." in page.of("p")


def test_a_page_that_cannot_be_written_is_one_line_and_leaves_the_old_one(
    pretraining_run, tmp_path
):
    folder = pretraining_run()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="file"):
        write_report([folder], tmp_path / "file" / "page.html")
    assert (tmp_path / "file").read_text() == "x"


def test_a_page_is_written_over_and_nothing_else(pretraining_run, tmp_path):
    run = pretraining_run()
    page = tmp_path / "page.html"
    write_report([run], page)
    page.write_text(page.read_text()[:100])
    write_report([run], page)
    assert page.read_text().endswith("</html>\n")
    summary = run / "summary.json"
    before = summary.read_text()
    with pytest.raises(UserError, match="is there already and is no report: name another file"):
        write_report([run], summary)
    assert summary.read_text() == before


def test_a_folder_is_no_place_for_a_page(pretraining_run, tmp_path):
    with pytest.raises(UserError, match="is a folder: name a file"):
        write_report([pretraining_run()], tmp_path)


def test_epochs_are_counted_in_whole_numbers(finetuning_run):
    folder = finetuning_run()
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(line for line in lines if '"epoch": 4' in line))
    assert {"0", "4"} <= set(report_on(folder).of("text"))
    assert "0.5" not in report_on(folder).of("text")
