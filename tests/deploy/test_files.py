"""What can be said of the deployment's files without an engine."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from deployment import ROOT, compose_command, run

yaml = pytest.importorskip("yaml", reason="python3-yaml is not installed (make deps)")

DEPLOY = ROOT / "deploy"
STAGES = {"ingest", "cache", "classify", "regress", "persist"}
RULES = DEPLOY / "prometheus" / "rules"


def need(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


def check_with_npm(name, packages, text):
    """Runs NAME/check.mjs on `text` with its packages; a folder of its own keeps them."""
    need("npm")
    folder = ROOT / "build" / f"{name}-check"
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "check.mjs"):
        shutil.copy(pathlib.Path(__file__).parent / name / file, folder)
    if not all((folder / "node_modules" / package).exists() for package in packages):
        done = subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        if done.returncode != 0:
            pytest.skip(f"{' and '.join(packages)} cannot be fetched from npm")
    done = subprocess.run(["node", "check.mjs"], cwd=folder, input=text, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


def compose_file():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def seconds(text):
    return sum(int(n) * {"s": 1, "m": 60, "min": 60}[u] for n, u in re.findall(r"(\d+)(min|m|s)", text))


# --- compose and swarm --------------------------------------------------------------------------


def test_the_services_have_the_names_that_people_rely_on():
    names = {name for name, service in compose_file()["services"].items() if "profiles" not in service}
    assert names >= STAGES | {"postgres", "redis"}


def test_only_clients_get_in_and_only_from_this_machine():
    services = compose_file()["services"]
    assert services["ingest"]["ports"] == ["${LEAT_LISTEN:-127.0.0.1}:${LEAT_PORT:-5550}:5550",
                                           "${LEAT_LISTEN:-127.0.0.1}:${LEAT_ONEWAY_PORT:-5551}:5551"]
    for name, service in services.items():
        if name != "ingest" and "profiles" not in service:
            assert "ports" not in service, name
            assert service["networks"] == ["pipeline"], name
    assert compose_file()["networks"]["pipeline"] == {"internal": True}


def test_a_stage_has_longer_to_end_than_to_drain():
    drain = compose_file()["x-settings"]["LEAT_DRAIN_TIMEOUT"]
    for name in STAGES:
        assert seconds(compose_file()["services"][name]["stop_grace_period"]) > seconds(drain)
    stack = yaml.safe_load((DEPLOY / "swarm" / "stack.yml").read_text())
    assert seconds(stack["x-leat"]["stop_grace_period"]) > seconds(stack["x-settings"]["LEAT_DRAIN_TIMEOUT"])


def test_every_service_is_bounded_and_comes_back():
    for name, service in compose_file()["services"].items():
        assert service["restart"] == ("no" if name == "keys" else "unless-stopped"), name
        assert "mem_limit" in service and "max-size" in service["logging"]["options"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("read_only") or name == "grafana", name


def test_the_start_order_does_not_matter():
    """The keys are there before a stage reads them; that is all."""
    made = {"keys": {"condition": "service_completed_successfully"}}
    for name, service in compose_file()["services"].items():
        assert service.get("depends_on", []) == (made if name in STAGES else []), name


def test_compose_takes_its_file():
    if not compose_command():
        pytest.skip("neither docker compose nor docker-compose is installed")
    run(*compose_command(), "-f", ROOT / "docker-compose.yml", "config", "-q")


def test_every_variable_of_the_compose_file_is_in_the_example():
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    used = dict(re.findall(r"\$\{(\w+):?-([^}]*)\}", text))
    said = dict(re.findall(r"^#(\w+)=(.*)$", example, re.M))
    assert used == said


def test_the_stack_has_the_settings_of_the_compose_file():
    stack = yaml.safe_load((DEPLOY / "swarm" / "stack.yml").read_text())
    for name in STAGES:
        settings = compose_file()["services"][name]["environment"]
        # There is no switching the keys off here.
        assert settings.pop("LEAT_SECURITY_INSECURE") == "yes"
        settings["LEAT_SECURITY_KEYS"] = "/keys"
        assert stack["services"][name]["environment"] == settings, name
        assert stack["services"][name]["command"] == compose_file()["services"][name]["command"], name
        assert stack["services"][name]["deploy"]["endpoint_mode"] == "dnsrr"


def test_docker_takes_the_stack():
    need("docker")
    done = run("docker", "stack", "config", "-c", DEPLOY / "swarm" / "stack.yml", check=False)
    if "not a docker command" in done.stderr or "unknown command" in done.stderr:
        pytest.skip("this docker has no stack config")
    assert done.returncode == 0, done.stderr


def test_scripts_are_sound():
    need("shellcheck")
    scripts = [path for path in DEPLOY.rglob("*") if path.is_file() and os.access(path, os.X_OK)
               and path.read_bytes()[:14].startswith((b"#!/bin/sh", b"#!/bin/bash"))]
    assert scripts
    run("shellcheck", *scripts)


def test_every_source_compiles_for_arm64():
    need("aarch64-linux-gnu-gcc")
    # The libraries' headers are the same for all processors; those of libc are the cross compiler's.
    options = ["-fsyntax-only", "-std=c17", "-D_GNU_SOURCE", '-DLEAT_VERSION="0"', "-O2", "-Wall", "-Wextra",
               "-Wshadow", "-Wconversion", "-Werror", "-I."]
    for folder in ("/usr/include", "/usr/include/postgresql", f"/usr/include/{os.uname().machine}-linux-gnu"):
        options += ["-idirafter", folder]
    sources = [path.relative_to(ROOT) for top in ("proto", "services") for path in sorted((ROOT / top).rglob("*.c"))]
    assert len(sources) > 100
    run("aarch64-linux-gnu-gcc", *options, *[path for path in sources if "examples" not in path.parts])


# --- watching -----------------------------------------------------------------------------------


def test_prometheus_takes_its_file_and_rules():
    need("promtool")
    run("promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml")


def test_every_alert_fires_when_it_should_and_not_before():
    need("promtool")
    run("promtool", "test", "rules", DEPLOY / "prometheus" / "alerts_test.yml")


def alerts():
    groups = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    return [rule["alert"] for group in groups for rule in group["rules"]]


def test_every_alert_is_tested_both_ways_and_explained():
    tested = {True: set(), False: set()}
    for test in yaml.safe_load((DEPLOY / "prometheus" / "alerts_test.yml").read_text())["tests"]:
        for one in test["alert_rule_test"]:
            tested["exp_alerts" in one].add(one["alertname"])
    readme = (DEPLOY / "README.md").read_text()
    for alert in alerts():
        assert alert in tested[True] and alert in tested[False], alert
        assert re.search(rf"^#+ .*{alert}", readme, re.M), f"{alert} has no chapter in deploy/README.md"


def dashboard():
    return json.loads((DEPLOY / "grafana/provisioning/dashboards/leat.json").read_text())


def dashboard_expressions():
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"].replace("$stage", "cache").replace("$instance", ".*")


def rule_expressions():
    for path in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule["expr"] for rule in group["rules"])


def test_the_dashboard_is_what_its_program_writes():
    written = run(DEPLOY / "grafana" / "dashboard.py").stdout
    assert written == (DEPLOY / "grafana/provisioning/dashboards/leat.json").read_text()


def test_the_dashboards_queries_are_sound(tmp_path):
    need("promtool")
    rules = [{"record": f"q:{i}", "expr": expr} for i, expr in enumerate(dashboard_expressions())]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run("promtool", "check", "rules", path)


def test_grafana_knows_every_word_of_the_dashboard():
    check_with_npm("grafana", ["@grafana/schema", "typescript"], json.dumps(dashboard()))


def test_the_dashboard_fits_together():
    """What types cannot tell: names that lead somewhere, panels side by side."""
    panels = dashboard()["panels"]
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/leat.yml").read_text())["datasources"]
    assert {p["datasource"]["uid"] for p in panels if "datasource" in p} == {s["uid"] for s in sources}
    assert len({p["id"] for p in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
        refs = [t["refId"] for t in panel.get("targets", [])]
        assert len(set(refs)) == len(refs), panel["title"]
    known = {"stage", "instance"}
    assert {v["name"] for v in dashboard()["templating"]["list"]} == known
    assert set(re.findall(r"\$(\w+)", json.dumps(panels))) <= known


def test_the_picture_shows_what_is_asked_for():
    picture = dashboard()["panels"][0]
    asked = {target["legendFormat"] for target in picture["targets"]}
    elements = picture["options"]["root"]["elements"]
    names = [one["name"] for one in elements]
    assert len(set(names)) == len(names)
    shown = set()
    for one in elements:
        shown |= {one["config"]["text"]["field"]} if one["type"] == "metric-value" else set()
        shown |= {one["background"]["color"]["field"]} if "field" in one["background"]["color"] else set()
        assert all(to["targetName"] in names for to in one["connections"])
    assert shown == asked
    assert {rule["matcher"]["options"] for rule in picture["fieldConfig"]["overrides"]} == asked
    assert STAGES <= set(names)


# --- kubernetes ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def objects():
    need("kubectl")
    done = run("kubectl", "kustomize", DEPLOY / "kubernetes")
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def of_kind(objects, *kinds):
    return {one["metadata"]["name"]: one for one in objects if one["kind"] in kinds}


def test_every_stage_runs_on_kubernetes_with_all_instances_behind_its_name(objects):
    assert set(of_kind(objects, "StatefulSet")) == {"ingest", "postgres"}
    assert set(of_kind(objects, "Deployment")) == {"cache", "classify", "regress", "persist", "redis"}
    for stage in STAGES:
        assert of_kind(objects, "Service")[stage]["spec"]["clusterIP"] == "None"
        assert stage in of_kind(objects, "PodDisruptionBudget")


def test_pods_are_unprivileged_and_have_time_to_drain(objects):
    drain = seconds(next(iter(of_kind(objects, "ConfigMap").values()))["data"]["LEAT_DRAIN_TIMEOUT"])
    for stage in STAGES:
        pod = of_kind(objects, "Deployment", "StatefulSet")[stage]["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] > drain
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
        container = pod["containers"][0]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["resources"]["limits"]["memory"]


def test_kubernetes_has_the_settings_of_the_compose_file(objects):
    shared = next(iter(of_kind(objects, "ConfigMap").values()))["data"]
    for name in STAGES:
        pod = of_kind(objects, "Deployment", "StatefulSet")[name]["spec"]["template"]["spec"]
        own = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        there = {**shared, **own}
        assert there["LEAT_SECURITY_KEYS"] == "/keys" and "LEAT_SECURITY_INSECURE" not in there
        for key, value in compose_file()["services"][name]["environment"].items():
            if key not in ("LEAT_STORE_URL", "LEAT_LOG_LEVEL", "LEAT_SECURITY_INSECURE") and "$" not in value:
                assert there[key] == value, (name, key)


def test_the_commands_of_the_readme_make_the_keys_that_pods_mount(objects, tmp_path):
    (tmp_path / "leat-keys" / "clients").mkdir(parents=True)
    for name in ("server.key", "service.key", "service.pub", "clients/client.pub", "clients/hub.pub"):
        (tmp_path / "leat-keys" / name).write_text("a key")
    readme = (DEPLOY / "README.md").read_text().replace("\\\n", " ")
    made = {}
    for command in re.findall(r"^kubectl -n leat (create (?:secret|configmap) .*?)(?: --dry-run.*)?$", readme, re.M):
        done = run("kubectl", *command.split(), "--dry-run=client", "-o", "json", cwd=tmp_path)
        one = json.loads(done.stdout)
        made[one["metadata"]["name"]] = set(one["data"])
    assert made["leat-clients"] == {"client.pub", "hub.pub"}
    for stage in STAGES:
        pod = of_kind(objects, "Deployment", "StatefulSet")[stage]["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
        for path in ("/keys/server.key", "/keys/service.key"):
            secret = volumes[mounts[path]["name"]]["secret"]
            assert mounts[path]["subPath"] in made[secret["secretName"]] and secret["defaultMode"] & 0o7 == 0
        services = volumes[mounts["/keys/services"]["name"]]["secret"]
        assert {item["key"] for item in services["items"]} <= made[services["secretName"]]
        assert ("/keys/clients" in mounts) == (stage == "ingest")


def test_the_autoscaler_looks_at_time_working(objects):
    metric = of_kind(objects, "HorizontalPodAutoscaler")["classify"]["spec"]["metrics"][0]
    assert metric["pods"]["metric"]["name"] == "leat_stage_work_ratio"
    adapter = yaml.safe_load((DEPLOY / "kubernetes/prometheus-adapter.yaml").read_text())
    offered = adapter["rules"]["custom"][0]
    assert offered["name"]["as"] == "leat_stage_work_ratio"
    assert "leat:stage_work:ratio" in offered["seriesQuery"]


def test_the_kubernetes_api_knows_all_of_it(objects):
    if shutil.which("kubeconform"):
        run("kubeconform", "-strict", "-summary", input=yaml.safe_dump_all(objects))
        return
    check_with_npm("kubernetes", ["kubernetes-models", "typescript"], json.dumps(objects))


# --- systemd ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def units(folder):
    need("systemd-analyze")
    for unit in (DEPLOY / "systemd").glob("*.in"):
        text = unit.read_text().replace("@BINDIR@", "/usr/bin").replace("@SYSCONFDIR@", "/etc")
        (folder / unit.stem).write_text(text)
    return sorted(folder.glob("*.service"))


def test_units_are_boxed_in(units):
    assert len(units) == 6
    for unit in units:
        done = run("systemd-analyze", "security", "--offline=true", unit, check=False)
        if "--offline" in done.stderr:
            pytest.skip("this systemd cannot judge files")
        exposure = float(re.search(r"exposure level.*: ([\d.]+)", done.stdout).group(1))
        assert exposure < 3.0, (unit.name, exposure)


def test_units_are_sound(units):
    for unit in units:
        done = run("systemd-analyze", "verify", "--man=no", unit, check=False)
        wrong = [line for line in done.stderr.splitlines()
                 if unit.name.split("@")[0] in line and "is not executable" not in line
                 and "Failed to" not in line]
        assert not wrong, "\n".join(wrong)


def test_a_unit_has_longer_to_end_than_to_drain(units):
    for unit in units:
        assert int(re.search(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.M).group(1)) > 30


# --- Debian -------------------------------------------------------------------------------------


def test_the_packages_are_built_with_what_the_tree_is_built_with():
    text = (DEPLOY / "install-packages").read_text()
    needed = set(re.search(r'^packages="\n(.*?)"', text, re.M | re.S).group(1).split())
    control = (DEPLOY / "debian" / "control").read_text()
    said = re.search(r"^Build-Depends: (.*?)\n[A-Z]", control, re.M | re.S).group(1)
    names = {re.sub(r"\(.*\)", "", one).strip() for one in said.split(",")}
    assert names - {"debhelper-compat", "dh-sequence-installsysusers"} == needed - {"build-essential"}
