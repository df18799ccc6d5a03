"""A BERT-family model's folder does what the shipped model does, behind the same settings."""

import json
import shutil

import harness
from test_pipeline import check_row, found

FOLDER = harness.ROOT / "tests" / "data" / "encoder" / "whole"
SETTINGS = ("--set", f"classify.model={FOLDER}", "--set", "classify.threads=2")


def test_a_folder_as_the_hub_serves_it_classifies_every_id_once():
    with harness.folder() as folder:
        embedded = harness.Embedded(folder, *SETTINGS)
        try:
            path = harness.texts_file(folder / "texts.ndjson", range(500),
                                      text="text number {i}: what a good day " + "and so on " * 3)
            told = harness.send(embedded.endpoint, path)
            assert told["committed"] == 500 and told["rejected"] == 0
            rows = found(embedded)
            assert len(rows) == 500
            for row in rows.values():
                check_row(row)
            assert embedded.query("SELECT DISTINCT model FROM texts") == [("whole 1",)]
            program = embedded.program
            tokens = program.metric("leat_classify_tokens_total")
            assert tokens >= 500 * 10
            assert tokens <= program.metric("leat_classify_rows_total") <= 1.3 * tokens
            assert program.metric("leat_classify_seconds_total", doing="computing") > 0
        finally:
            embedded.close()


def test_a_model_is_inspected_edited_and_checked():
    with harness.folder() as folder:
        model = folder / "model"
        shutil.copytree(FOLDER, model)
        done = harness.leat("model", "inspect", str(model))
        assert done.returncode == 0 and "BERT: 1 layers, 16 wide" in done.stdout, done
        card = json.loads((model / "leat-card.json").read_text())
        assert [label["name"] for label in card["labels"]][:2] == ["anger", "disgust"]
        assert card["labels"][0]["sentiment"] == "negative"
        again = harness.leat("model", "inspect", str(model))
        assert again.returncode == 0 and "Read" in again.stdout
        texts = folder / "texts.tsv"
        texts.write_text("a good day\t3\nan awful day\t0,5\nwater\t4\textra\n")
        done = harness.leat("model", "check", str(model), str(texts))
        assert done.returncode == 0 and "macro-F1" in done.stdout and "of 3 texts" in done.stdout, done
        card["labels"][0]["emotion"] = "rage"
        (model / "leat-card.json").write_text(json.dumps(card))
        done = harness.leat("model", "inspect", str(model))
        assert done.returncode == 1 and "labels[0]: emotion: expected null or one of" in done.stderr, done
        assert harness.leat("model", "look").returncode == 2
