"""A study with a second place for its results, at a real server of S3's protocol and on a file system."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from moto.server import ThreadedMotoServer
from pyarrow.fs import FileSystem
from studies import SECONDS, environment, samples_digest, small, study_of

import rnnmc
from rnnmc.cli import main
from rnnmc.common.errors import RunError, UsageError
from rnnmc.engine import block, choice
from rnnmc.run.aggregate import aggregate
from rnnmc.run.elsewhere import put_results
from rnnmc.run.fanout import Done
from rnnmc.run.look import count_again
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import jobs_missing, sample_all
from rnnmc.store.remote import Remote, remote
from rnnmc.study.study import Study

ADDRESS = "s3://bucket/some/prefix"
ENTRY = {"cell": ["tanh", "relu"], "width": 2, "observables": ["vector"]}
BLOCKS = 6  # of each of its two points; each is a shard of samples and one of an observable


def serve(port: int = 0) -> ThreadedMotoServer:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    return server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = serve()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture(autouse=True)
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileSystem]:
    """An empty bucket; blocks of eight replicates."""
    own = {"AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in (own | {"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(choice, "LARGEST_TILE", 8)
    monkeypatch.setattr(block, "LARGEST_BLOCK", 8)
    there, _ = FileSystem.from_uri("s3://bucket?allow_bucket_creation=true&allow_bucket_deletion=true")
    there.create_dir("bucket")
    yield there
    there.delete_dir("bucket")


def study(**changes: Any) -> Study:
    return study_of(small(**({"points": [ENTRY], "replicates": 8 * BLOCKS, "results": ADDRESS} | changes)))


def sampled(asked: Study, directory: Path) -> str:
    """Plan and sample a study in this process, as a run does; the digest of its samples."""
    points = plan(asked, directory)
    sample_all(directory, points, asked.thresholds, None, "cpu")
    return samples_digest(directory)


def shards_there() -> dict[str, tuple[int, bytes]]:
    """Every shard at the address: when it was put there, and its content."""
    place = remote(f"{ADDRESS}/small")
    files = {name: info for name, info in place.files().items() if name.endswith(".parquet") and "/" in name}
    return {name: (info.mtime_ns or 0, place.read(name)) for name, info in files.items()}


def wait_for(what: Callable[[], object]) -> None:
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < SECONDS, "waited in vain"
        time.sleep(0.05)


def in_order(rows: pl.LazyFrame) -> pl.DataFrame:
    return rows.collect().sort("point", "replicate", "horizon")


def told_in_log(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "rnnmc"]


ONE_RUN = """
import sys, time
from pathlib import Path
import yaml
from rnnmc.engine import block, choice
from rnnmc.run import fanout
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import sample_all
from rnnmc.study.study import load_study
choice.LARGEST_TILE = block.LARGEST_BLOCK = 8
study, directory = load_study(sys.argv[1]), Path(sys.argv[2])
points = plan(study, directory)
sample_all(directory, points, study.thresholds, None, "cpu", lambda done: time.sleep(0.2))
"""


@pytest.mark.slow
@pytest.mark.process
def test_a_run_that_was_killed_twice_with_its_machine_goes_on_from_the_address_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = sampled(study(results=None), tmp_path / "undisturbed")
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(small(points=[ENTRY], replicates=8 * BLOCKS, results=ADDRESS)))
    before: dict[str, tuple[int, bytes]] = {}
    for attempt, enough in enumerate((6, 16)):
        words = [sys.executable, "-c", ONE_RUN, str(file), str(tmp_path / f"machine-{attempt}")]
        process = subprocess.Popen(words, env=environment() | {"PYTHONPATH": os.pathsep.join(sys.path)})
        wait_for(lambda enough=enough: len(shards_there()) >= enough)
        process.send_signal(signal.SIGKILL)
        process.wait()
        shutil.rmtree(tmp_path / f"machine-{attempt}")
        now = shards_there()
        assert enough <= len(now) < 4 * BLOCKS, "it was killed before its end"
        assert {name: now[name] for name in before} == before, "what was there has stayed, and was not put again"
        before = now
    monkeypatch.chdir(tmp_path)
    assert sampled(study(), tmp_path / "results" / "small") == undisturbed
    after = shards_there()
    assert len(after) == 4 * BLOCKS
    assert {name: after[name] for name in before} == before
    assert f"{ADDRESS}/small: {len(before)} shards brought from there" in capsys.readouterr().err
    for name, (_, content) in after.items():
        assert (tmp_path / "results" / "small" / name).read_bytes() == content


@pytest.mark.slow
def test_scan_and_load_read_at_the_address_what_they_read_in_the_folder(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    goal = {"cell": "lstm", "width": 1, "replicates": {"half_width": 0.3, "max": 80}}
    digest = sampled(study(points=[ENTRY, goal]), tmp_path / "small")
    put_results(tmp_path / "small")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    for said in (f"?endpoint_override={server.removeprefix('http://')}&scheme=http", ""):
        if not said:
            monkeypatch.setenv("AWS_ENDPOINT_URL", server)
        for observable in (None, "vector"):
            here, there = (rnnmc.scan(one, observable) for one in (tmp_path / "small", f"{ADDRESS}/small{said}"))
            assert in_order(there).equals(in_order(here))
        assert in_order(rnnmc.load(f"{ADDRESS}{said}")).equals(in_order(rnnmc.load(tmp_path / "small")))
    assert set(rnnmc.scan(f"{ADDRESS}/small").collect()["replicates"]) == {8 * BLOCKS, 8}
    again = study(points=[ENTRY, goal])
    points = plan(again, tmp_path / "again")
    assert jobs_missing(tmp_path / "again", points, again.thresholds) == []
    assert sampled(again, tmp_path / "again") == digest


@pytest.mark.slow
def test_what_is_damaged_at_the_address_is_found_not_counted_and_put_anew(
    tmp_path: Path, bucket: FileSystem, caplog: pytest.LogCaptureFixture
) -> None:
    digest = sampled(study(), tmp_path / "a")
    whole = shards_there()
    flipped, cut, emptied, *_ = sorted(name for name in whole if name.startswith("samples"))
    place = remote(f"{ADDRESS}/small")
    middle = len(whole[flipped][1]) // 2
    bad = {flipped: bytearray(whole[flipped][1]), cut: whole[cut][1][:-1], emptied: b""}
    bad[flipped][middle] ^= 1
    for name, content in bad.items():
        place.put(name, bytes(content))
    points = plan(study(), tmp_path / "b")
    told = told_in_log(caplog)
    assert told == [f"{ADDRESS}/small/{flipped}: is damaged, as are 2 more; it is not counted, and put anew"]
    assert {str(path.relative_to(tmp_path / "b")) for path in (tmp_path / "b").rglob("0*.parquet")} == set(whole) - set(
        bad
    )
    assert len(jobs_missing(tmp_path / "b", points)) == len(bad)
    assert sampled(study(), tmp_path / "b") == digest
    now = shards_there()
    assert now.keys() == whole.keys()
    for name, (when, content) in now.items():
        assert content == (tmp_path / "b" / name).read_bytes()
        assert (when, content) == whole[name] or name in bad or "observables" in name
    place.put(cut, b"cut again")  # and the folder that has it whole heals the address
    place.filesystem.delete_file(f"{place.root}/{flipped}")
    (tmp_path / "b" / flipped).write_bytes(bytes(bad[flipped]))  # but not with what is damaged itself
    plan(study(), tmp_path / "b")
    assert shards_there()[cut][1] == now[cut][1]
    assert flipped not in shards_there()


def test_of_a_block_that_both_have_the_one_with_more_replicates_wins(tmp_path: Path) -> None:
    sampled(study(replicates=12), tmp_path / "fewer")  # the second block is half a one
    short = shards_there()
    sampled(study(replicates=16, results=None), tmp_path / "more")
    more = plan(study(replicates=16), tmp_path / "more")
    assert jobs_missing(tmp_path / "more", more) == []
    now = shards_there()
    for name in now:
        assert len(now[name][1]) == (tmp_path / "more" / name).stat().st_size or "000000" in name
    assert now != short
    plan(study(replicates=12), tmp_path / "fewer")
    assert shards_there() == now, "fewer replicates do not take the place of more"
    assert {name: (tmp_path / "fewer" / name).read_bytes() for name in now if "000001" in name} == {
        name: now[name][1] for name in now if "000001" in name
    }


def test_of_a_block_that_two_machines_have_made_each_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = sampled(study(), tmp_path / "one")
    there = shards_there()
    monkeypatch.setattr("platform.node", lambda: "a machine of another and longer name")
    assert sampled(study(results=None), tmp_path / "other") == digest
    sizes = {name: (tmp_path / "other" / name).stat().st_size for name in there}
    assert all(sizes[name] != len(content) for name, (_, content) in there.items())
    plan(study(), tmp_path / "other")
    assert shards_there() == there
    assert {name: (tmp_path / "other" / name).stat().st_size for name in there} == sizes


def test_a_shard_that_has_grown_while_the_server_was_away_is_put_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled(study(replicates=12), tmp_path / "small")
    short = shards_there()
    sampled(study(replicates=16, results=None), tmp_path / "small")
    with monkeypatch.context() as patch:
        patch.setattr("rnnmc.run.elsewhere.Elsewhere.meet", lambda *_: None)  # nothing could be put
        plan(study(replicates=16), tmp_path / "small")
    put_results(tmp_path / "small")
    now = shards_there()
    changed = {name for name in now if now[name][1] != short[name][1]}
    assert {name.rpartition("/")[2] for name in changed} == {"000001.parquet"}
    assert {name: (tmp_path / "small" / name).read_bytes() for name in now} == {
        name: content for name, (_, content) in now.items()
    }


def test_a_look_by_other_thresholds_is_no_further_study_at_the_address(tmp_path: Path) -> None:
    sampled(study(), tmp_path / "small")
    aggregate(tmp_path / "small", study().thresholds, study().interval)
    count_again(tmp_path / "small", vanish=0.01)
    put_results(tmp_path / "small")
    there = rnnmc.load(f"{ADDRESS}/small", "statistics").collect()
    assert there.height == rnnmc.load(tmp_path / "small", "statistics").collect().height > 0


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"seed": 1},
            f"results: {ADDRESS}/small: has the samples of seed 7888, and this is seed 1; give another address",
        ),
        ({"results": "s3://other/x"}, "s3://other/x/small: there is no bucket other; make it, or give another address"),
        ({"results": "s3://bucket/x?color=red"}, r"s3://bucket/x/small: cannot be used \(.*color"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_one_sentence_before_anything_is_written(
    changes: dict[str, Any],
    problem: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan(study(), tmp_path / "there")
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(yaml.safe_dump(small() | changes))
    monkeypatch.setattr(
        sys, "argv", ["rnnmc", "run", "small.yaml", *(["--results", ADDRESS] * ("results" not in changes))]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert re.search(problem, told)
    assert not Path("results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("comes_back", [False, True])
def test_while_the_server_is_away_the_folder_keeps_all_and_it_is_put_there_later(
    comes_back: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = serve()
    host, port = first.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    points = plan(study(), tmp_path)
    first.stop()
    running = []

    def come_back(_: Done) -> None:
        if comes_back and not running:
            wait_for(lambda: told_in_log(caplog))
            running.append(serve(port))

    sample_all(tmp_path, points, study().thresholds, None, "cpu", come_back)
    (told,) = told_in_log(caplog)
    assert "cannot be put there" in told
    assert told.endswith(f"{tmp_path} keeps it, and it is put there later")
    assert jobs_missing(tmp_path, points) == []
    if not comes_back:
        with pytest.raises(UsageError, match="cannot be read"):
            plan(study(), tmp_path)
        with pytest.raises(RunError, match=rf"{tmp_path} has all: run again to put there what is missing"):
            put_results(tmp_path)
        running.append(serve(port))
        assert not shards_there()
        plan(study(), tmp_path)
    assert len(shards_there()) == 4 * BLOCKS
    running[0].stop()


@pytest.mark.slow
def test_on_a_file_system_too_files_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    address = f"file://{tmp_path}/there"
    digest = sampled(study(results=address), tmp_path / "a")
    assert sampled(study(results=address), tmp_path / "b") == digest
    assert samples_digest(tmp_path / "there" / "small") == digest
    place = remote(address, "small")
    contents = [bytes([number]) * 3_000_000 for number in range(2)]
    place.put("large", contents[0])
    with ThreadPoolExecutor(1) as threads:
        putting = threads.submit(lambda: [place.put("large", contents[i % 2]) for i in range(40)])
        seen = []
        while not putting.done():
            seen.append(place.read("large"))
    assert set(seen) <= set(contents)
    (tmp_path / "there" / "small" / "folder").mkdir()
    with pytest.raises(RunError, match="cannot be put there"):
        place.put("folder", b"")
    assert not list((tmp_path / "there").rglob("*.part"))


def test_nothing_of_this_machine_goes_to_the_address_and_no_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sampled(study(), tmp_path / "small")
    (tmp_path / "small" / "logs").mkdir(exist_ok=True)
    (tmp_path / "small" / "logs" / "run.log").touch()
    (tmp_path / "small" / ".x.part").touch()
    put_results(tmp_path / "small")
    names = set(remote(f"{ADDRESS}/small").files())
    assert {"study.yaml", "points.parquet"} <= names
    assert not [name for name in names if name.startswith(("logs", ".")) or name.endswith(".part")]
    with pytest.raises(UsageError, match=r"results: \.\.\. has a key in it; give that by AWS_ACCESS_KEY_ID"):
        study(results="s3://key:secret@bucket/x")


@pytest.mark.slow
def test_fetch_brings_all_that_lies_at_an_address_and_proves_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rnnmc_said(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["rnnmc", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(str(ended.value.code)), "".join(capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    digest = sampled(study(), tmp_path / "a")
    code, said = rnnmc_said("fetch", f"{ADDRESS}/small")
    assert (code, said) == (0, f"results/small: {4 * BLOCKS} shards whole; samples SHA-256 {digest}\n")
    assert rnnmc_said("fetch", f"{ADDRESS}/small")[0] == 2
    assert "has no study.yaml" in rnnmc_said("fetch", ADDRESS)[1]
    code, said = rnnmc_said("verify", f"{ADDRESS}/small")
    assert code == 2
    assert f"{ADDRESS}/small: is not on this machine; rnnmc fetch {ADDRESS}/small brings it" in said
    name = min(shards_there())
    remote(f"{ADDRESS}/small").put(name, b"damaged")
    code, said = rnnmc_said("fetch", f"{ADDRESS}/small", "--into", "b")
    assert code == 1
    assert f"b/{name}: is not a whole shard" in said
    monkeypatch.setattr(Remote, "files", lambda place: dict.fromkeys(["study.yaml", "../../evil.txt"]))
    code, said = rnnmc_said("fetch", f"{ADDRESS}/small", "--into", "c")
    assert code == 1
    assert "../../evil.txt: would not lie in c; remove it there" in said
