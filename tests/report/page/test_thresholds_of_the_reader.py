"""Thresholds that the reader sets on the page: bounds that hold what the samples would say, and no made-up number."""

import html
import json
from pathlib import Path

import polars as pl
import pytest
import synthetic
from pages import browse, needs_browser, search, with_script

from rnnmc.report.page import write_report
from rnnmc.report.text import study_points
from rnnmc.store.outdated import PAGE_FILE, SO_FAR

OF = {"cells": ("relu",), "widths": (1,), "replicates": 200}  # with dead and overflown networks
ASKED = [("0.02", "1000"), ("1e-3", "1e2"), ("1e-6", "1E+6"), ("2", "2.5"), ("1e-400", "1e400")]
WRONG, OWN = [("1000", "0.001"), ("0", "1000"), ("small", "1000")], ("0.001", "1e3")
USE = """
  const saved = [], form = document.querySelector("form.thresholds"), told = document.getElementById("asked");
  const all = [...document.querySelectorAll("#main td")];
  const cells = () => JSON.stringify(all.map(cell => [cell.innerHTML, cell.title, {...cell.dataset}]));
  const before = cells(), wait = () => new Promise(resume => setTimeout(resume));
  URL.createObjectURL = blob => { saved.push(blob.text()); return "#"; };
  const state = () => ({told: told.hidden ? "" : told.textContent, same: cells() === before});
  const set = (vanish, explode) => {
    Object.assign(form.vanish, {value: vanish}); Object.assign(form.explode, {value: explode});
    form.explode.dispatchEvent(new Event("change", {bubbles: true}));
    return {wrong: form.vanish.getAttribute("aria-invalid"), ...state()};
  };
  (async () => {
    const seen = [];
    for (const [vanish, explode] of asked) {
      seen.push(set(vanish, explode));
      document.querySelector(".filters button").click();
    }
    form.querySelector("button").click();
    await wait(); await wait();
    seen.push({value: form.vanish.value, ...state()});
    document.body.dataset.seen = JSON.stringify({seen, saved: await Promise.all(saved)});
  })();"""


def page_of(directory: Path) -> Path:
    """A page without figures beside it, which take time."""
    write_report(directory, *synthetic.study(**OF), so_far=(0.5, 1, 2))
    return directory / SO_FAR / PAGE_FILE


@pytest.fixture(scope="module")
def used(tmp_path_factory) -> tuple[list[dict], list[pl.DataFrame]]:
    """(what the page says after each pair of thresholds and at last after a reset, the CSV of each pair)."""
    directory = tmp_path_factory.mktemp("used")
    page = page_of(directory)
    text = with_script(page.read_text(encoding="utf-8"), f"const asked = {json.dumps([*ASKED, *WRONG, OWN])};{USE}")
    page.write_text(text, encoding="utf-8")
    document, console = browse(page, directory / "profile", asked="")
    assert console == ""
    found = json.loads(html.unescape(search(r'data-seen="([^"]*)"', document)[1]))
    return found["seen"], [pl.read_csv(saved.encode()) for saved in found["saved"]]


def counted(vanish: str, explode: str, monkeypatch) -> pl.DataFrame:
    """The rows of the table by these thresholds, from the samples."""
    monkeypatch.setattr(synthetic, "VANISH", float(vanish))
    monkeypatch.setattr(synthetic, "EXPLODE", float(explode))
    _, points, tables = synthetic.study.__wrapped__(**OF)
    last = tables["statistics"].filter(pl.col("horizon") == 1000, pl.col("measure") == "log_spectral")
    return study_points(points).select("point").join(last, on="point", maintain_order="left")


@pytest.mark.process
@pytest.mark.page
@needs_browser
def test_what_the_samples_would_say_lies_within_the_bounds_that_the_page_shows(used, monkeypatch):
    seen, saved = (some[: len(ASKED)] for some in used)
    assert not any(one["same"] for one in seen)
    narrow = 0
    for (vanish, explode), shown, said in zip(ASKED, saved, seen, strict=True):
        assert shown["vanished below"].cast(pl.Float64).to_list() == [float(vanish)] * shown.height
        assert f"norm below {vanish} " in said["told"]
        if float(vanish) == 0:
            continue  # of which Python's numbers know nothing
        truth = counted(vanish, explode, monkeypatch)
        assert truth.height == shown.height
        for event, own in (("vanish", vanish == "1e-3"), ("stable", False), ("explode", explode == "1000")):
            true = truth[f"p_{event}_at"].to_list()
            if own:
                assert shown[f"P({event})"].to_list() == true
                continue
            low, high = (shown[f"P({event}) at {word}"].to_list() for word in ("least", "most"))
            assert all(a - 1e-12 <= p <= b + 1e-12 for a, p, b in zip(low, true, high, strict=True))
            narrow += sum(b - a < 0.3 for a, b in zip(low, high, strict=True))
    assert narrow > 20, "bounds of nothing would hold everything"
    far, rows = saved[-1], counted("1e-3", "1e3", monkeypatch)
    assert far["P(vanish) at least"].to_list() == rows["p_dead_at"].to_list()
    assert far["P(explode) at least"].to_list() == rows["p_overflow_at"].to_list()
    assert rows["p_dead_at"].gt(0).any()


@pytest.mark.process
@pytest.mark.page
@needs_browser
def test_what_is_no_threshold_is_refused_in_a_sentence_and_changes_nothing(used):
    seen, saved = (some[len(ASKED) :] for some in used)
    assert all(one["same"] for one in seen)
    assert [one["wrong"] for one in seen[:-1]] == ["true", "true", "true", "false"]
    assert all("no thresholds" in one["told"] for one in seen[: len(WRONG)])
    assert seen[-2]["told"] == "", "those of the study, written otherwise"
    assert seen[-1] == {"told": "", "value": "0.001", "same": True}, "after a reset"
    assert all("P(vanish)" in one.columns and "vanished below" not in one.columns for one in saved)
