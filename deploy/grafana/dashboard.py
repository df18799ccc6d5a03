#!/usr/bin/python3
"""Writes the dashboard: deploy/grafana/dashboard.py > provisioning/dashboards/leat.json

The picture first: what flows, how busy each stage is, what waits. Below it rates, what is in flight
and how old, where time goes (by stage and instance), the cache, the store, the instances.
"""

import json

SOURCE = {"type": "prometheus", "uid": "leat-prometheus"}
STAGES = ("ingest", "cache", "classify", "persist")
BUSY = [{"color": "green", "value": None}, {"color": "yellow", "value": 0.7}, {"color": "red", "value": 0.9}]
GOOD = [{"color": "red", "value": None}, {"color": "green", "value": 1}]
PLAIN = [{"color": "blue", "value": None}]
_numbers = iter(range(1, 1000))


def query(expr, legend, instant=False, ref=None, form="time_series"):
    return {"datasource": SOURCE, "expr": expr, "legendFormat": legend, "instant": instant,
            "range": not instant, "format": form, "refId": ref}


def panel(kind, title, place, queries, unit="short", help="", steps=PLAIN, custom=None, options=None,
          overrides=(), **more):
    x, y, w, h = place
    for i, one in enumerate(queries):
        one["refId"] = one["refId"] or chr(ord("A") + i)
    return {
        "id": next(_numbers), "type": kind, "title": title, "description": help, "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": w, "h": h}, "targets": list(queries),
        "fieldConfig": {
            "defaults": {"unit": unit, "color": {"mode": "thresholds" if kind != "timeseries" else "palette-classic"},
                         "thresholds": {"mode": "absolute", "steps": steps}, "custom": custom or {}},
            "overrides": list(overrides),
        },
        "options": options or {}, **more,
    }


def series(title, place, queries, unit="short", help="", stack=False, maximum=None, **more):
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 40 if stack else 10,
              "showPoints": "never", "spanNulls": 30000,
              "stacking": {"mode": "normal" if stack else "none", "group": "A"}}
    options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    made = panel("timeseries", title, place, queries, unit, help, custom=custom, options=options, **more)
    made["fieldConfig"]["defaults"]["min"] = 0
    if maximum:
        made["fieldConfig"]["defaults"]["max"] = maximum
    return made


def row(title, y):
    return {"id": next(_numbers), "type": "row", "title": title, "collapsed": False, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}}


# --- the picture --------------------------------------------------------------------------------


def unit_of(field, unit, steps=None, decimals=None):
    properties = [{"id": "unit", "value": unit}]
    if steps:
        properties.append({"id": "thresholds", "value": {"mode": "absolute", "steps": steps}})
    if decimals is not None:
        properties.append({"id": "decimals", "value": decimals})
    return {"matcher": {"id": "byName", "options": field}, "properties": properties}


def element(kind, name, left, top, width, height, config=None, background="transparent", border=0,
            to=(), field=None):
    """One thing on the canvas; `to` names those that an arrow leads to, and from which side."""
    sides = {"right": ((1, 0), (-1, 0)), "down": ((0, -1), (0, 1)), "around": ((0, -1), (-1, 0)),
             "up": ((1, 0), (0, -1))}
    color = {"fixed": background}
    if field:
        color = {"field": field, "fixed": background}
    return {
        "type": kind, "name": name, "config": config or {},
        "background": {"color": color},
        "border": {"color": {"fixed": "text"}, "width": border, "radius": 6},
        "constraint": {"horizontal": "left", "vertical": "top"},
        "placement": {"left": left, "top": top, "width": width, "height": height, "rotation": 0},
        "connections": [
            {"source": dict(zip("xy", sides[side][0])), "target": dict(zip("xy", sides[side][1])),
             "targetName": target, "path": "straight", "color": {"fixed": "text"},
             "size": {"fixed": 2, "min": 1, "max": 10}}
            for target, side in to
        ],
    }


def words(name, text, left, top, width, size=14, color="text"):
    return element("text", name, left, top, width, size + 10,
                   {"align": "center", "valign": "middle", "size": size, "color": {"fixed": color},
                    "text": {"mode": "fixed", "fixed": text}})


def value(field, left, top, width, size=18):
    return element("metric-value", "value of " + field, left, top, width, size + 8,
                   {"align": "center", "valign": "middle", "size": size, "color": {"fixed": "text"},
                    "text": {"mode": "field", "field": field, "fixed": ""}})


def picture():
    queries, overrides, elements = [], [], []

    def ask(field, expr, unit, steps=None, decimals=None):
        queries.append(query(expr, field, instant=True, ref=field.replace(" ", "_")))
        overrides.append(unit_of(field, unit, steps, decimals))
        return field

    def box(name, title, left, top, to=(), field=None, height=120, width=150):
        elements.append(element("rectangle", name, left, top, width, height, {}, "transparent", 2, to, field))
        elements.append(words(name + " title", title, left, top + 4, width, 16))

    top, step = 30, 205
    place = {name: 20 + i * step for i, name in enumerate(("clients", *STAGES, "store"))}
    after = dict(zip(("clients", *STAGES), (*STAGES, "store")))

    box("clients", "clients", place["clients"], top, [("ingest", "right")])
    elements.append(value(ask("clients connected", "sum(leat_ingest_clients)", "none"), place["clients"], top + 34, 150))
    elements.append(words("clients connected is", "connected", place["clients"], top + 58, 150, 11))
    elements.append(value(ask("busy answers", "sum(rate(leat_ingest_sends_busy_total[1m]))", "cps", decimals=1), place["clients"], top + 78, 150))
    elements.append(words("busy answers are", "turned away", place["clients"], top + 98, 150, 11))

    rates = {"ingest": "sum(rate(leat_ingest_records_accepted_total[1m]))",
             **{s: f'sum(rate(leat_stage_records_in_total{{stage="{s}"}}[1m]))' for s in (*STAGES[1:], "regress")}}
    def stage_box(stage, left, top, to):
        busy = f'max(leat:stage_work:ratio{{stage="{stage}"}})'
        if stage == "ingest":
            busy = "max(leat:journal_used:ratio)"
        field = ask(stage + " load", busy, "percentunit", BUSY, 0)
        box(stage, stage, left, top, to, field)
        elements.append(value(ask(stage + " records", rates[stage], "cps", decimals=0), left, top + 30, 150, 20))
        elements.append(value(field, left, top + 56, 150, 16))
        elements.append(words(stage + " load is", "journal used" if stage == "ingest" else "of its time working",
                              left, top + 76, 150, 11))
        elements.append(value(ask(stage + " ready", f'sum(leat_ready{{stage="{stage}"}})', "none"), left, top + 92, 50, 14))
        elements.append(words(stage + " ready are", "instances ready", left + 45, top + 93, 100, 11))

    for stage in STAGES:
        below = {"ingest": [("journal", "down")], "cache": [("results", "down")]}.get(stage, [])
        stage_box(stage, place[stage], top, [(after[stage], "right"), *below])
    stage_box("regress", place["classify"], 300, [("persist", "up")])

    box("store", "store", place["store"], top)
    elements.append(value(ask("committed", 'sum(rate(leat_persist_records_total{result="committed"}[1m]))', "cps", decimals=0), place["store"], top + 30, 150, 20))
    elements.append(words("committed are", "committed", place["store"], top + 56, 150, 11))
    elements.append(value(ask("dead", 'sum(increase(leat_persist_records_total{result="dead"}[1h]))', "none", decimals=0), place["store"], top + 76, 150, 16))
    elements.append(words("dead are", "dead letters in an hour", place["store"], top + 98, 150, 11))

    low = 190
    box("journal", "journal", place["ingest"], low, [("regress", "around")], height=96)
    elements.append(value(ask("journal bytes", "sum(leat_ingest_journal_bytes)", "bytes", decimals=1), place["ingest"], low + 30, 150, 16))
    elements.append(value(ask("oldest", "max(leat_ingest_oldest_unacknowledged_seconds)", "s", decimals=1), place["ingest"], low + 56, 150, 16))
    elements.append(words("oldest is", "waits longest", place["ingest"], low + 76, 150, 11))
    box("results", "results", place["cache"], low, height=96)
    elements.append(value(ask("hits", "leat:cache_hits:ratio", "percentunit", decimals=1), place["cache"], low + 34, 150, 18))
    elements.append(words("hits are", "of lookups are hits", place["cache"], low + 62, 150, 11))
    box("acks", "acks to ingest", place["store"], low, height=96)
    elements.append(value(ask("acks", "sum(rate(leat_ingest_batches_acknowledged_total[1m]))", "cps", decimals=0), place["store"], low + 30, 150, 18))
    elements.append(words("acks are", "batches, after COMMIT", place["store"], low + 60, 150, 11))

    made = panel("canvas", "The pipeline now", (0, 0, 24, 12), queries, help=(
        "Records a second at each stage. A stage's colour is how much of its time its busiest instance works "
        "(ingest: how full its journal is)."), overrides=overrides, steps=PLAIN, options={
            "inlineEditing": False, "showAdvancedTypes": True, "panZoom": False, "infinitePan": False,
            "root": {"name": "pipeline", "type": "frame", "elements": elements,
                     "background": {"color": {"fixed": "transparent"}},
                     "border": {"color": {"fixed": "transparent"}},
                     "constraint": {"horizontal": "left", "vertical": "top"},
                     "placement": {"left": 0, "top": 0, "width": 100, "height": 100}}})
    return made


# --- the rest -----------------------------------------------------------------------------------


def panels():
    at = 'stage="$stage", instance=~"$instance"'
    yield picture()
    yield panel("alertlist", "Firing", (0, 12, 24, 3), [], options={
        "viewMode": "list", "groupMode": "default", "maxItems": 20, "sortOrder": 1,
        "stateFilter": {"firing": True, "pending": False, "error": True, "noData": False, "normal": False},
        "datasource": "Leat", "alertInstanceLabelFilter": ""})

    yield row("Rates", 15)
    yield series("Records", (0, 16, 12, 8), [
        query("sum(rate(leat_ingest_records_accepted_total[1m]))", "accepted"),
        query('sum(rate(leat_persist_records_total{result="committed"}[1m]))', "committed"),
        query('sum(rate(leat_persist_records_total{result="dead"}[1m]))', "dead letters"),
        query("sum(rate(leat_ingest_records_rejected_total[1m]))", "rejected"),
    ], "cps", "Accepted: on ingest's disk. Committed: in the store. Between the two is the journal.")
    yield series("Records by stage and instance", (12, 16, 12, 8), [
        query('rate(leat_stage_records_in_total{instance=~"$instance"}[1m])', "{{stage}} {{instance}}"),
    ], "cps")

    yield row("What waits", 24)
    yield series("Oldest not acknowledged", (0, 25, 8, 7), [
        query("max by (kind) (leat_ingest_oldest_unacknowledged_seconds)", "oldest {{kind}}"),
        query("max by (kind) (leat_ingest_round_trip_seconds)", "round trip {{kind}}"),
    ], "s", "How long the oldest accepted batch waits; the round trip is how long a batch takes normally.")
    yield series("In flight", (8, 25, 8, 7), [
        query("sum by (kind) (leat_ingest_in_flight_bytes)", "in flight {{kind}}"),
        query("sum by (kind) (leat_ingest_window_bytes)", "window {{kind}}"),
    ], "bytes", "Bytes sent and not acknowledged; the window is what may be in flight now.")
    yield series("Journal", (16, 25, 8, 7), [
        query("leat_ingest_journal_bytes", "kept {{instance}}"),
        query("leat_ingest_journal_max_bytes", "at most {{instance}}"),
    ], "bytes")

    yield row("Where time goes: $stage", 32)
    repeated = {"repeat": "stage", "repeatDirection": "h", "maxPerRow": 3}
    yield series("$stage", (0, 33, 8, 8), [
        query(f"sum(rate(leat_stage_work_seconds_total{{{at}}}[1m]))", "working"),
        query(f"sum(rate(leat_stage_wait_input_seconds_total{{{at}}}[1m]))", "waiting for batches"),
        query(f"sum(rate(leat_stage_wait_output_seconds_total{{{at}}}[1m]))", "waiting for the next stage"),
    ], "percentunit", "1 is one instance all of the time. Nearly all working: start more of it. "
       "Much waiting for the next stage: look there.", stack=True, **repeated)

    yield row("Working, by instance", 41)
    yield series("Share of time working", (0, 42, 12, 8), [
        query('leat:stage_work:ratio{instance=~"$instance"}', "{{stage}} {{instance}}")],
        "percentunit", maximum=1)
    yield series("Share of time waiting for the next stage", (12, 42, 12, 8), [
        query('leat:stage_wait_output:ratio{instance=~"$instance"}', "{{stage}} {{instance}}")],
        "percentunit", maximum=1)

    yield row("Cache and classify", 50)
    yield series("Lookups", (0, 51, 8, 7), [
        query("sum by (outcome) (rate(leat_cache_lookups_total[1m]))", "{{outcome}}")], "cps", stack=True)
    yield series("Hits", (8, 51, 8, 7), [query("leat:cache_hits:ratio", "hits")], "percentunit", maximum=1)
    yield series("Where results come from", (16, 51, 8, 7), [
        query("sum by (source) (rate(leat_classify_texts_total[1m]))", "{{source}}")], "cps", stack=True)

    yield row("Store", 58)
    yield series("Transactions", (0, 59, 8, 7), [
        query("sum by (path) (rate(leat_persist_transactions_total[1m]))", "{{path}}"),
        query("sum(rate(leat_persist_conflicts_total[1m]))", "key was there"),
        query("sum(rate(leat_persist_away_total[1m]))", "store away")], "cps",
        "staged: through a temporary table, when keys are there already.")
    yield series("Records a transaction", (8, 59, 8, 7), [
        query("sum(rate(leat_persist_records_total[1m])) / sum(rate(leat_persist_transactions_total[1m]))",
              "records")], "short")
    yield series("Journal commits", (16, 59, 8, 7), [
        query("rate(leat_ingest_commit_seconds_total[1m]) / rate(leat_ingest_commits_total[1m])",
              "time of one {{instance}}")], "s", "Mostly the disk's sync.")

    yield row("Instances", 66)
    yield series("Sent again", (0, 67, 8, 7), [
        query("sum(rate(leat_ingest_batches_resent_total[1m]))", "resent"),
        query("sum(rate(leat_ingest_batches_probed_total[1m]))", "probes"),
        query("sum by (stage, reason) (rate(leat_stage_dropped_total[1m])) > 0", "{{stage}} dropped: {{reason}}")],
        "cps")
    yield series("Peers", (8, 67, 8, 7), [
        query("sum by (stage, peer) (leat_peers_connected)", "{{stage}} to {{peer}}")], "none")
    yield series("Memory", (16, 67, 8, 7), [
        query("process_resident_memory_bytes{job=\"leat\", instance=~\"$instance\"}", "{{service}} {{instance}}")],
        "bytes", "Of the process, without its child.")
    yield panel("table", "Ready", (0, 74, 24, 7), [
        query("leat_ready", "", instant=True, form="table"),
    ], steps=GOOD, custom={"cellOptions": {"type": "auto"}}, overrides=[
        {"matcher": {"id": "byName", "options": "Value"}, "properties": [
            {"id": "displayName", "value": "ready"},
            {"id": "custom.cellOptions", "value": {"type": "color-background"}},
            {"id": "mappings", "value": [{"type": "value", "options": {
                "0": {"text": "no", "index": 0}, "1": {"text": "yes", "index": 1}}}]}]}],
        transformations=[{"id": "organize", "options": {"excludeByName": {
            "Time": True, "__name__": True, "job": True, "service": True}}}])


def variable(name, label, values):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "query": {
        "query": values, "refId": name}, "definition": values, "includeAll": True, "multi": True,
        "allValue": None, "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "refresh": 2, "sort": 1, "hide": 0, "options": [], "regex": ""}


print(json.dumps({
    "uid": "leat", "title": "Leat", "tags": ["leat"], "schemaVersion": 39, "version": 1,
    "editable": True, "graphTooltip": 1, "refresh": "5s", "timezone": "browser",
    "time": {"from": "now-15m", "to": "now"}, "annotations": {"list": []}, "links": [],
    "templating": {"list": [
        variable("stage", "Stage", "label_values(leat_stage_work_seconds_total, stage)"),
        variable("instance", "Instance", "label_values(up{job=\"leat\"}, instance)"),
    ]},
    "panels": list(panels()),
}, indent=1))
