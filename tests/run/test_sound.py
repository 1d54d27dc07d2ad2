"""A cell of one's own is checked before it is measured: what is refused, with which words, and how often."""

import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from own_files import Desk
from studies import ROOT, command, sample_here, snakemake, write

import rnnmc
from rnnmc.cells import cell_source
from rnnmc.cli import main
from rnnmc.common.errors import UsageError
from rnnmc.numerics import trusted
from rnnmc.run.checks import sound
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import jobs_missing
from rnnmc.store.plan import cut_up
from rnnmc.study.study import load_study, read_study

HEAD = "import rnnmc, torch, time\n\nCALLS = []\n\n\nclass Own(rnnmc.Cell):\n    name, gates = 'own', ('hidden',)\n"
STEP = """    formula, source = "h' = f(W x + U h + b)", "a test"

    def step(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        {code}
        return (a.tanh(),)
{more}

cell = Own()
"""
TANGENT = """
    def linearise(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        {code}
        y = a.tanh()

        def push(directions):
            return ({pushed},)

        return ({after},), push
"""
RIGHT = "weights.product(directions[0], weights.recurrent['hidden'] * (1 - y * y))"


def own(code: str = "pass", more: str = "", facts: str = "") -> str:
    """The source of a plain cell with something in its step, with more methods, or with facts about itself."""
    return HEAD + facts + STEP.format(code=code, more=more)


def by_hand(code: str = "pass", pushed: str = RIGHT, after: str = "y") -> str:
    return own(more=TANGENT.format(code=code, pushed=pushed, after=after))


NORM = "a = (a - a.mean({axis}, keepdim=True)) / (a.var({axis}, keepdim=True, unbiased=False) + 1e-5).sqrt()"
OVER_UNITS = "weights."  # the axis of units, or a helper that knows it
COUNTED = "{what}\n        a = a if len(CALLS) + getattr(self, 't', 0) < 10**6 else 2 * a"  # beyond any check
UNSOUND = {
    "a norm over the last axis": (own(NORM.format(axis="-1")), "batch (", OVER_UNITS),
    "a norm over the first axis": (own(NORM.format(axis="0")), "batch (", OVER_UNITS),
    "a mean over everything": (own("a = a - a.mean()"), "batch (", OVER_UNITS),
    "a sum over the last axis": (own("a = a / (1 + a.abs().sum(-1, keepdim=True))"), "batch (", OVER_UNITS),
    "the largest of all": (own("a = a / (1 + a.abs().max())"), "batch (", OVER_UNITS),
    "a softmax over the last axis": (own("a = a.softmax(-1)"), "batch (", OVER_UNITS),
    "a turn of the last axis": (own("a = a.roll(1, -1)"), "batch (", OVER_UNITS),
    "a wrong tangent": (by_hand(pushed=RIGHT.replace("1 - y * y", "1 - y")), "autograd (", "write step alone"),
    "a tangent that forgets the slope": (
        by_hand(pushed=RIGHT.replace(" * (1 - y * y)", "")),
        "autograd (",
        "write step alone",
    ),
    "another next state": (by_hand(after="y + 1e-3"), "next state (", "the very state that step gives"),
    "a push that is not linear": (
        by_hand(pushed=f"{RIGHT} + 1e-3 * directions[0].abs()"),
        "linearity (",
        "write step alone",
    ),
    "not bounded": (own("return (2 * a,)", facts="    bounded = True\n"), "bounded (", "leave bounded out"),
    "a wrong fact of gates": (
        "from rnnmc.cells.cell import Gating\n"
        + own(facts="    memory = {'hidden': 1}\n    gating = Gating(keep='hidden')\n"),
        "law of zero weights (",
        "leave gating out",
    ),
    "what raises": (own("raise RuntimeError('no luck')"), "RuntimeError: no luck", "mend what is named"),
    "another shape": (own("a = a[..., :1]"), "batch (", "check-cell"),
    "numbers that are none": (own("a = a / 0 * 0"), "autograd (", "let it be a number"),
    "dropout": (own("a = torch.nn.functional.dropout(a)"), "next state (", "draw nothing"),
    "a list": (own("return [a.tanh()]"), "step gives a list of 1", "return (h,)"),
    "no tuple": (own("return a.tanh()"), "step gives a Tensor", "return (h,)"),
    "nothing": (own("return None"), "gives a NoneType", "return (h,)"),
    "one part too many": (own("return (a.tanh(), a)"), "step gives a tuple of 2", "give a tuple of 1"),
    "names as a text": (own().replace("('hidden',)", "'hidden'"), "KeyError: 'hidden'", "in tuples"),
    "two parts, one taken": (own(facts="    parts = ('h', 'c')\n"), "values to unpack", "names in parts"),
    "Python's max": (own("a = max(a, 0 * a)"), "Boolean value", "torch.maximum"),
    "a chained comparison": (by_hand("y = a * (-1 < a < 1)"), "Boolean value", "(a > 0) & (a < 1)"),
    "NumPy": (own("import numpy\n        a = torch.from_numpy(numpy.tanh(a.numpy()))"), "autograd (", "a.tanh()"),
    "Python's mathematics": (own("import math\n        a = a * math.tanh(a)"), "autograd (", "a.tanh()"),
    "a drive that is changed": (own("drive['hidden'].mul_(0.5)"), "autograd (", "make a new tensor"),
    "a count on itself": (by_hand(COUNTED.format(what="self.t = getattr(self, 't', 0) + 1")), "self.t", "is another"),
    "a count on its class": (
        by_hand(COUNTED.format(what="type(self).t = getattr(self, 't', 0) + 1")),
        "Own.t",
        "is another",
    ),
    "a count in its module": (by_hand(COUNTED.format(what="CALLS.append(1)")), "own.CALLS", "is another"),
    "what ends the process": (
        own("raise SystemExit(7)"),
        "ends the process in a check (SystemExit: 7)",
        "let it give",
    ),
}


@pytest.fixture
def desk(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(trusted.tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
    monkeypatch.setattr(sound, "_passed", set())
    desk = Desk(tmp_path, monkeypatch)
    yield desk
    desk.forget()


def point(width=3, cell="own:cell"):
    return rnnmc.DesignPoint(cell=cell, width=width, horizons=(1, 4))


@pytest.mark.parametrize(
    "kept",
    ["self.last = a", "self.__dict__.setdefault('known', {})[tuple(a.shape), a.dtype] = 2.0", "CALLS[:] = [len(a)]"],
)
def test_a_cell_may_keep_what_is_the_same_after_the_same_calls(kept, desk):
    desk.write({"own.py": by_hand(kept)})
    assert rnnmc.measure(point(), replicates=4).height


@pytest.mark.parametrize(("text", "wrong", "remedy"), UNSOUND.values(), ids=UNSOUND)
def test_an_unsound_cell_is_refused_with_what_is_wrong_and_what_would_be_right(text, wrong, remedy, desk):
    desk.write({"own.py": text})
    with pytest.raises(UsageError) as refused:
        rnnmc.measure(point(), replicates=4)
    said = str(refused.value)
    assert said.startswith("cell: own:cell ")
    assert wrong in said
    assert remedy in said
    assert "\n" not in said


SOUND = {
    "plain": own(),
    "by hand": by_hand(),
    "a norm over units": own(NORM.format(axis="weights.layout.out_axis")),
    "bounded, and it says so": own(facts="    bounded = True\n"),
}


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_a_sound_cell_is_measured(text, desk):
    desk.write({"own.py": text})
    assert rnnmc.measure(point(), replicates=4).height == 4


def test_a_cell_that_stays_in_its_step_is_refused_in_time(desk, monkeypatch):
    monkeypatch.setattr(sound, "PATIENCE", 0.2)
    desk.write({"own.py": own("while True: pass")})
    begin = time.monotonic()
    with pytest.raises(UsageError, match=r"is not checked within 0\.2 seconds at 5 units"):
        sound.hold_sound(point())
    assert time.monotonic() - begin < 30


def test_the_time_limit_leaves_that_of_others_as_it_was(desk):
    desk.write({"own.py": own()})
    before, handler = signal.setitimer(signal.ITIMER_REAL, 250.0), signal.getsignal(signal.SIGALRM)
    sound.hold_sound(point())
    left, _ = signal.setitimer(signal.ITIMER_REAL, *before)
    assert 100 < left < 250
    assert signal.getsignal(signal.SIGALRM) is handler


def test_a_thread_checks_too(desk):
    desk.write({"own.py": own("a = a - a.mean()")})
    found = []

    def look():
        try:
            sound.hold_sound(point())
        except UsageError as error:
            found.append(str(error))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert "batch (" in found[0]


# --- of one number of units ---------------------------------------------------------------------------

PER_UNIT = own("a = a * weights.layout.load(np.array([[[1.0, 2.0, 3.0]]]), a.dtype, 'cpu')")
PER_UNIT = PER_UNIT.replace("import rnnmc,", "import numpy as np\nimport rnnmc,")


def test_a_cell_of_three_units_alone_is_checked_at_three(desk):
    desk.write({"own.py": PER_UNIT})
    assert rnnmc.measure(point(3), replicates=4).height == 4
    with pytest.raises(UsageError, match=r"own:cell fails \d of the \d checks of a cell"):
        sound.hold_sound(point(4))


def test_a_mistake_of_such_a_cell_is_told_and_not_its_number_of_units(desk):
    desk.write({"own.py": PER_UNIT.replace("return (a.tanh(),)", "return ((a - a.mean()).tanh(),)")})
    with pytest.raises(UsageError, match=r"fails 1 of the \d checks .* batch \("):
        sound.hold_sound(point(3))


# --- once -----------------------------------------------------------------------------------------------


@pytest.fixture
def looks(monkeypatch):
    """What has been checked, in its order."""
    seen, check = [], sound.check_named_cell

    def counted(name, width):
        seen.append(name)
        return check(name, width)

    monkeypatch.setattr(sound, "check_named_cell", counted)
    return seen


def another_process(monkeypatch):
    monkeypatch.setattr(sound, "_passed", set())


def test_a_source_is_checked_once_and_again_when_it_changes(desk, looks, monkeypatch):
    desk.write(
        {
            "own.py": own("a = a * scale").replace("import rnnmc,", "from outer import scale\nimport rnnmc,"),
            "outer.py": "scale = 2\n",
        }
    )
    for width in (3, 4, 3):
        sound.hold_sound(point(width))
        another_process(monkeypatch)
    assert looks == ["own:cell"]
    desk.write({"outer.py": "scale = 3\n"})
    sound.hold_sound(point())
    assert looks == ["own:cell"] * 2


def test_a_refusal_is_not_kept(desk, looks):
    desk.write({"own.py": UNSOUND["a mean over everything"][0]})
    for _ in range(2):
        with pytest.raises(UsageError):
            sound.hold_sound(point())
    assert len(looks) == 2


OTHER = """
class Wrong(Own):
    def step(self, weights, drive, state):
        return (state[0] - state[0].mean(),)

other = Wrong()
"""


def test_two_cells_of_one_file_are_two(desk, looks, monkeypatch):
    desk.write({"own.py": own() + OTHER})
    sound.hold_sound(point())
    another_process(monkeypatch)
    with pytest.raises(UsageError, match="own:other fails"):
        sound.hold_sound(point(cell="own:other"))
    assert looks == ["own:cell", "own:other"]


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"every check passed\n", "half"])
def test_a_damaged_word_is_not_taken_and_made_again(content, desk, looks, monkeypatch):
    desk.write({"own.py": own()})
    sound.hold_sound(point())
    (kept,) = (desk.folder / "cache/rnnmc/checked").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    for _ in range(2):
        another_process(monkeypatch)
        sound.hold_sound(point())
    assert len(looks) == 2
    assert kept.read_bytes() == whole


@pytest.mark.parametrize("changed", ["rnnmc", "torch", "compiler"])
def test_another_rnnmc_torch_or_compiler_checks_again(changed, desk, looks, monkeypatch):
    desk.write({"own.py": own()})
    sound.hold_sound(point())
    another_process(monkeypatch)
    if changed == "rnnmc":
        monkeypatch.setattr(sound, "digest_of_rnnmc", lambda: "another")
    elif changed == "torch":
        monkeypatch.setattr(sound, "version", lambda package: "0.0")
    else:
        monkeypatch.setattr("rnnmc.numerics.compiler.compiler", lambda: ("cc", "another"))
    sound.hold_sound(point())
    assert len(looks) == 2


def test_what_the_key_does_not_see_is_checked_every_time(desk, looks, monkeypatch):
    desk.write({"own.py": own("a = a * float(__import__('os').environ.get('OWN', 1))")})
    assert cell_source("own:cell").unseen
    for _ in range(2):
        sound.hold_sound(point())
        another_process(monkeypatch)
    assert len(looks) == 2


def test_where_nothing_can_be_kept_the_cell_is_measured_all_the_same(desk, looks, monkeypatch):
    (desk.folder / "cache").write_text("a file, where a folder would have to be")
    (desk.folder / "temporary").write_text("likewise")
    monkeypatch.setattr(trusted.tempfile, "tempdir", str(desk.folder / "temporary"))
    desk.write({"own.py": own()})
    for _ in range(2):
        sound.hold_sound(point())
        another_process(monkeypatch)
    assert len(looks) == 2


def test_many_may_keep_the_same_word_at_once(desk, looks, monkeypatch):
    desk.write({"own.py": own()})
    kept = sound._kept("own:cell", cell_source("own:cell").digest)
    threads = [threading.Thread(target=sound._keep, args=(kept, 5)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list((desk.folder / "cache/rnnmc/checked").iterdir())) == 1
    sound.hold_sound(point())
    assert looks == []


def test_a_cell_that_comes_with_rnnmc_is_not_checked_here(desk, looks):
    sound.hold_sound(point(cell="lstm"))
    assert looks == []


# --- the doors ------------------------------------------------------------------------------------------

WRONG = UNSOUND["a norm over the last axis"][0]


def study(**more):
    points = [{"cell": "tanh", "width": 2}, {"cell": ["gru", "own:cell"], "width": 3}]
    return {"study": "mine", "replicates": 4, "horizons": [2], "points": points} | more


def test_a_study_names_the_entry_of_the_cell_that_is_refused(desk):
    desk.write({"own.py": WRONG})
    path = write(desk.folder, study())
    with pytest.raises(UsageError, match=r"mine\.yaml: points\[1\]\.cell: own:cell fails 2 of the \d checks"):
        sound.sound_study(path)
    assert len(load_study(path).points) == 3  # to look at what is there, nothing is checked


def test_nothing_is_written_of_a_study_whose_cell_is_refused(desk):
    desk.write({"own.py": WRONG})
    with pytest.raises(UsageError, match="own:cell fails"):
        plan(read_study(study(), "mine.yaml"), desk.folder / "results")
    assert not (desk.folder / "results").exists()


def test_what_a_key_does_not_see_is_said_once(desk, caplog):
    desk.write({"own.py": own("a = a * float(__import__('os').environ.get('OWN', 1))")})
    for _ in range(2):
        rnnmc.measure(point(), replicates=4)
    (record,) = [one for one in caplog.records if "does not see" in one.message]
    assert record.message.startswith("the key of own:cell does not see os.environ (own.py, line ")


def ended(*words):
    """The exit code of a command, run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["rnnmc", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
    return end.value.code


def refused_before_any_work(folder, said):
    assert re.search(r"own:cell fails 2 of the \d checks of a cell", said)
    assert OVER_UNITS in said
    assert "Traceback" not in said
    assert not (folder / "results").exists()


@pytest.mark.parametrize(
    "words", ["measure own:cell --width 3 --replicates 4 --out out.parquet", "run mine.yaml", "plan mine.yaml"]
)
def test_the_command_line_refuses_with_exit_code_2_before_any_work(words, desk, capsys):
    desk.write({"own.py": WRONG})
    write(desk.folder, study())
    assert ended(*words.split()) == 2
    refused_before_any_work(desk.folder, capsys.readouterr().err)
    assert not (desk.folder / "out.parquet").exists()


@pytest.mark.slow
@pytest.mark.process
def test_the_workflow_refuses_with_exit_code_2_before_any_job(desk):
    desk.write({"own.py": WRONG})
    done = command(*snakemake(write(desk.folder, study())), cwd=desk.folder)
    assert done.returncode == 2, done.stderr
    refused_before_any_work(desk.folder, done.stderr)


def test_a_plan_says_in_one_line_what_its_keys_do_not_see(desk, capsys):
    desk.write({"own.py": "from outer import scale\n" + own("a = a * scale")})
    path = write(desk.folder, study())
    for scale, lines in (("float(os.environ.get('OWN', 1))", 1), ("0.1", 0)):
        desk.write({"outer.py": f"import os\nscale = {scale}\n"})
        assert ended("plan", path) == 0
        told = [line for line in capsys.readouterr().out.splitlines() if "does not see" in line]
        assert len(told) == lines
        if lines:
            assert told[0].startswith("the key of own:cell does not see os.environ (outer.py, line 2): where ")


@pytest.mark.slow
def test_a_study_is_sampled_anew_when_a_helper_of_its_cell_has_changed(desk):
    """Two steps at a tenth of the slope: l_2 is less by 2 log 10 = 4.6, but for what tanh then saturates less."""
    desk.write({"own.py": "from outer import scale\n" + own("a = a * scale")})
    wanted = study(points=[{"cell": "own:cell", "width": 3, "replicates": 40}])
    medians = []
    for scale in ("1.0", "0.1"):
        desk.write({"outer.py": f"scale = {scale}\n"})
        mine = read_study(wanted, "mine.yaml")
        assert jobs_missing(desk.folder / "out", cut_up(mine))
        sample_here(mine, desk.folder / "out")
        medians.append(rnnmc.scan(desk.folder / "out").collect()["log_spectral"].median())
    assert medians[1] < medians[0] - 2


@pytest.mark.process
def test_planning_a_study_of_our_cells_imports_no_torch():
    code = (
        "import sys; from rnnmc.run.checks.sound import sound_study, unseen; "
        "study = sound_study('config/smoke.yaml'); assert unseen(study.points) == []; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "False\n"


def test_an_event_that_is_certain_is_refused_with_its_place_before_any_work(tmp_path):
    plain = {"cell": "linear", "width": 1, "drive": "none", "init": {"recurrent": {"gaussian": 0.01}}}
    rare = plain | {"replicates": {"splitting": {"event": "vanish", "particles": 100}}}
    path = write(tmp_path, {"study": "a", "horizons": [5], "points": [plain, rare]})
    with pytest.raises(UsageError) as refused:
        sound.sound_study(path)
    assert str(refused.value) == (
        f"{path}: points[1].replicates.splitting: vanish at 5 (norm below 0.001): all of 100 replicates have it; "
        "ask for an event that is rarer"
    )
