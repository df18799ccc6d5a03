"""A BERT-family model's folder does what the shipped model does, behind the same settings."""

import contextlib
import json
import math
import re
import shutil
import struct

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


def unpacked(blob):
    return struct.unpack(f"<{len(blob) // 4}f", blob)


def test_embeddings_are_stored_also_from_the_cache_and_shown():
    with harness.folder() as folder:
        embedded = harness.Embedded(folder, *SETTINGS, "--set", "embeddings.store=yes")
        try:
            path = folder / "texts.ndjson"
            for prefix in "ab":
                path.write_text("".join(json.dumps({"id": f"{prefix}{i}", "text": f"a good day {i % 50}"})
                                        + "\n" for i in range(100)))
                assert harness.send(embedded.endpoint, path)["committed"] == 100
                harness.until("the cache has all of them",
                              lambda: embedded.program.metric("leat_cache_fills_total") >= 50)
            rows = dict(embedded.query("SELECT id, embedding FROM texts"))
            assert len(rows) == 200
            for name, blob in rows.items():
                assert abs(math.hypot(*unpacked(blob)) - 1) < 1e-5, name
                assert blob == rows[f"a{int(name[1:]) % 50}"], name
            assert embedded.program.metric("leat_classify_texts_total", source="cache") >= 100
            shown = json.loads(harness.leat("show", "--data", embedded.data, "--json", "a1",
                                            check=True).stdout)
            assert struct.pack("<16f", *shown["embedding"]) == rows["a1"]
            told = harness.leat("show", "--data", embedded.data, "a1", check=True).stdout
            assert f"embedding   16 numbers: {shown['embedding'][0]:.4f}," in told, told
        finally:
            embedded.close()


def test_embeddings_are_arrays_of_reals_in_postgresql():
    with harness.folder() as folder, contextlib.closing(harness.Postgres(folder / "pg")) as postgres:
        cluster = harness.Cluster(folder, postgres, None, settings={
            "classify.model": FOLDER, "classify.threads": 2, "embeddings.store": "yes"})
        try:
            path = harness.texts_file(folder / "texts.ndjson", range(20))
            assert harness.send(cluster.endpoint, path)["committed"] == 20
            rows = cluster.query("SELECT array_length(embedding, 1), (SELECT sum(x * x) FROM "
                                 "unnest(embedding) AS x) FROM texts")
            assert len(rows) == 20 and all(n == 16 and abs(square - 1) < 1e-5 for n, square in rows)
            one = json.loads(harness.leat("show", "--store", postgres.conninfo, "--json", "t1",
                                          check=True).stdout)
            assert one["embedding"] == cluster.query("SELECT embedding FROM texts WHERE id = 't1'")[0][0]
        finally:
            cluster.close()


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
        assert re.search(r"^[1-9][0-9]* MB of memory at most$", done.stdout, re.MULTILINE), done
        card["labels"][0]["emotion"] = "rage"
        (model / "leat-card.json").write_text(json.dumps(card))
        done = harness.leat("model", "inspect", str(model))
        assert done.returncode == 1 and "labels[0]: emotion: expected null or one of" in done.stderr, done
        assert harness.leat("model", "look").returncode == 2
