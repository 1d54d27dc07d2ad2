"""What a run tells is what a real Prometheus hears, and every panel of the dashboard has numbers to draw."""

from __future__ import annotations

import json
import math
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from studies import ROOT, command, shard_files, small, study_of

from rnnmc.run.cluster import connected
from rnnmc.run.dispatcher import start_dispatcher
from rnnmc.run.pipeline import plan
from rnnmc.run.running import scraped
from rnnmc.run.sampling import jobs_missing, sample
from rnnmc.store.plan import cut_up

MONITORING = ROOT / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana.json").read_text(encoding="utf-8"))
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
PATIENCE = 90.0  # seconds on a busy machine


@pytest.fixture
def prometheus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Prometheus that reads our scrape file, every second and not every ten."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no prometheus on this machine; Debian and Ubuntu: apt-get install prometheus")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RAY_metrics_report_interval_ms", "1000")
    (tmp_path / "targets").symlink_to(command("rnnmc", "dashboard", "--targets", cwd=tmp_path).stdout.strip())
    assert (tmp_path / "targets").resolve() == scraped()
    text = (MONITORING / "prometheus.yml").read_text(encoding="utf-8").replace("interval: 10s", "interval: 1s")
    (tmp_path / "prometheus.yml").write_text(text.replace("interval: 5s", "interval: 1s"), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={address}"]
    with (tmp_path / "prometheus.log").open("w") as log:
        process = subprocess.Popen([program, *words], cwd=tmp_path, stdout=log, stderr=log)
    try:
        yield address
    finally:
        process.terminate()
        process.wait(30)


def found(address: str, query: str) -> list[float]:
    words = urllib.parse.urlencode({"query": query.replace("$study", ".*")})
    try:
        with urllib.request.urlopen(f"http://{address}/api/v1/query?{words}", timeout=10) as answer:
            said: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        pytest.fail(f"{query}: {error.read().decode()}")
    except OSError:  # it still starts
        return []
    return [float(one["value"][1]) for one in said["data"]["result"]]


def wait_for(address: str, query: str, wanted: float) -> None:
    begin = time.monotonic()
    while (seen := found(address, query)) != [wanted]:
        assert time.monotonic() - begin < PATIENCE, f"{query}: {seen}, not {wanted}"
        time.sleep(0.3)


@pytest.mark.slow
@pytest.mark.process
def test_prometheus_hears_what_a_run_did_and_every_panel_has_numbers(prometheus: str, tmp_path: Path) -> None:
    directory = tmp_path / "results" / "heard"
    study = study_of(small(study="heard"))
    plan(study, directory)
    jobs = jobs_missing(directory, cut_up(study))
    size = count = 0
    with connected(cpus=1, dashboard=True) as cluster:
        dispatcher = start_dispatcher(cluster, shared=True)  # as a head has one for all its jobs
        for replicates in (200, 300):  # a rate is of two times at least
            sample(directory, [job._replace(replicates=replicates) for job in jobs], cluster, "cpu")
            size += sum(path.stat().st_size for path in shard_files(directory))
            count += len(jobs) * replicates
            wait_for(prometheus, 'sum(ray_rnnmc_replicates_total{study="heard"})', count)
        wait_for(prometheus, 'sum(ray_rnnmc_replicates_planned{study="heard"})', 4 * 300)
        wait_for(prometheus, 'sum(ray_rnnmc_replicates_done{study="heard",cell="lstm",width="12"})', 300)
        wait_for(prometheus, 'sum(ray_rnnmc_seconds_left{study="heard"})', 0)
        wait_for(prometheus, 'sum(ray_rnnmc_blocks_in_flight{study="heard"})', 0)
        wait_for(prometheus, 'sum(ray_rnnmc_stored_bytes_total{study="heard"})', size)
        begin = time.monotonic()
        while empty := [query for query in QUERIES if not any(map(math.isfinite, found(prometheus, query)))]:
            assert time.monotonic() - begin < PATIENCE, f"no numbers: {empty}"
            time.sleep(0.3)
        del dispatcher
    assert not list(scraped().iterdir()), "a run that has ended is scraped on"


def test_the_dashboard_draws_each_metric_and_asks_for_none_that_is_not_told() -> None:
    source = (ROOT / "rnnmc/run/meters.py").read_text(encoding="utf-8")
    told = set(re.findall(r'"(rnnmc_\w+)"', source))
    asked = {
        re.sub("_(total|bucket)$", "", name) for query in QUERIES for name in re.findall(r"ray_(rnnmc_\w+)", query)
    }
    assert asked == told
    (rule,) = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"][0]["metric_relabel_configs"]
    for query in QUERIES:
        assert all(re.fullmatch(rule["regex"], name) for name in re.findall(r"ray_\w+", query))


def test_the_panels_of_the_dashboard_lie_side_by_side_and_ask_the_source_that_is_chosen() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24  # columns that Grafana has
        taken |= cells
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${source}"}
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["source", "study"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
