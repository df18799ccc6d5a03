"""A real Prometheus finds every instance by DNS, and its rules and the dashboard's queries have
answers."""

import contextlib
import json
import re
import urllib.parse
import urllib.request

import pytest

import test_files
from deployment import Deployment, texts_file, until


@pytest.fixture(scope="module")
def watched(compose, folder):
    with contextlib.closing(Deployment(folder)) as running:
        # Grafana is in no registry's place here; its dashboard is asked for what it would ask.
        running.compose("--profile", "watch", "up", "-d", "--scale", "classify=3", "prometheus",
                        "postgres", "redis", "ingest", "cache", "classify", "regress", "persist")
        running.wait_healthy("ingest", "cache", "classify", "regress", "persist")
        running.send(texts_file(folder / "some.ndjson", 20000, "some"))
        yield running


def ask(watched, path, **query):
    url = f"http://127.0.0.1:{watched.prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with contextlib.suppress(OSError):
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]
    return {"result": [], "activeTargets": [], "groups": []}


def up(watched):
    found = {}
    for one in ask(watched, "query", query="up == 1")["result"]:
        service = one["metric"]["service"]
        found[service] = found.get(service, 0) + 1
    return found


def test_every_instance_is_found(watched):
    until("all are found", lambda: up(watched) == {
        "ingest": 1, "cache": 1, "classify": 3, "regress": 1, "persist": 1}, 60)


def test_an_instance_more_is_found_and_one_less_forgotten(watched):
    watched.up(classify=4)
    until("the fourth is found", lambda: up(watched)["classify"] == 4, 60)
    watched.up(classify=2)
    until("two are forgotten", lambda: up(watched)["classify"] == 2, 90)


def test_rules_are_evaluated_without_errors(watched):
    until("rules are evaluated", lambda: all(
        rule["health"] == "ok" for group in ask(watched, "rules")["groups"] for rule in group["rules"])
        and ask(watched, "rules")["groups"], 60)
    assert set(test_files.alerts()) == {
        rule["name"] for group in ask(watched, "rules")["groups"] for rule in group["rules"]
        if rule["type"] == "alerting"}


def test_whatever_is_asked_for_is_told_by_some_program(watched):
    told = "".join(text for stage in ("ingest", "cache", "classify", "regress", "persist")
                   for text in watched.metrics(stage))
    recorded = {rule["name"] for group in ask(watched, "rules")["groups"] for rule in group["rules"]
                if rule["type"] == "recording"}
    for expr in [*test_files.dashboard_expressions(), *test_files.rule_expressions()]:
        for name in re.findall(r"\b(?:leat|process)[_:][\w:]+", expr):
            assert name in recorded or f"\n# TYPE {name} " in told, f"{name} in {expr}"


def test_every_metric_explains_itself(watched):
    for stage in ("ingest", "cache", "classify", "regress", "persist"):
        for text in watched.metrics(stage):
            for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
                assert re.search(rf"^# HELP {name} \S+ \S+", text, re.M), name
                assert (kind == "counter") == name.endswith("_total"), name


def test_every_query_of_the_dashboard_has_an_answer(watched):
    # But those that show a line only when something is wrong.
    asked = {expr for expr in test_files.dashboard_expressions() if not expr.endswith("> 0")}
    silent = set(asked)

    def answered():
        silent.difference_update([e for e in silent if ask(watched, "query", query=e)["result"]])
        return not silent

    with contextlib.suppress(AssertionError):
        until("all are answered", answered, 60)
    assert not silent


def test_a_missing_stage_is_told(watched):
    watched.compose("stop", "classify")
    until("the alert is pending or firing", lambda: any(
        alert["labels"]["alertname"] in ("LeatStageMissing", "LeatPeersUnreachable", "LeatInstanceDown")
        for alert in ask(watched, "alerts").get("alerts", [])), 90)
