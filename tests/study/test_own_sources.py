"""A law, a drive or an observable of one's own: its source is part of the key, or of what its shards are known by."""

import re
import sys

import pytest
from own_files import Desk, cell_file
from studies import ROOT, sample_here, shard_files, study_of

import rnnmc
from rnnmc.common.registry import homes, offered
from rnnmc.run.checks.sound import unseen
from rnnmc.run.sampling import jobs_missing
from rnnmc.store.plan import cut_up
from rnnmc.study.point import DesignPoint

PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
NEW = {name: code for code, name in re.findall(r"```python\n(# rnnmc/(\S+\.py)\n.*?)```", PAGE, re.DOTALL)}
ROOMS = ("cells", "drives", "initialisers", "observables")


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Rooms of rnnmc with a second folder each, and what puts a file there, as if into the package."""
    desk = Desk(tmp_path, monkeypatch)
    for room in ROOMS:
        package = sys.modules[f"rnnmc.{room}"]
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / room)])

    def put(**files):
        desk.write({name.replace("__", "/") + ".py": text for name, text in files.items()})
        forget()

    def forget():
        own = [name for name, module in sys.modules.items() if _lies_in(module, tmp_path)]
        for name in own:
            del sys.modules[name]
        homes.cache_clear()
        offered.cache_clear()

    yield put
    monkeypatch.undo()
    desk.forget()
    forget()


def _lies_in(module, folder):
    return str(getattr(module, "__file__", None) or "").startswith(str(folder))


def key(**said):
    return DesignPoint(**({"cell": "tanh", "width": 3, "horizons": (1, 5)} | said)).key


OWN = {
    "drive": ("drives/square.py", {"drive": {"square": 4}}, "-1.0)", "-2.0)"),
    "recurrent law": ("initialisers/coin.py", {"init": {"recurrent": {"coin": 1.0}}}, "[-1.0, 1.0]", "[-2.0, 2.0]"),
    "bias": (
        "initialisers/coin.py",
        {"init": {"preset": "pytorch", "bias": {"hidden": {"coin": 1.0}}}},
        "[-1.0, 1.0]",
        "[-2.0, 2.0]",
    ),
    "cell": ("cells/softsign.py", {"cell": "softsign"}, "1 + a.abs()", "2 + a.abs()"),
}


@pytest.mark.parametrize(("file", "said", "before", "after"), OWN.values(), ids=OWN)
def test_a_key_changes_with_the_source_of_what_somebody_put_into_a_room(file, said, before, after, house):
    code, name = NEW[file], file.removesuffix(".py").replace("/", "__")
    assert before in code
    keys = []
    for text in (code, code.replace(before, after), code):
        house(**{name: text})
        keys.append(key(**said))
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize(
    ("file", "said", "old"), [(one[0], one[1], one[2]) for name, one in OWN.items() if name != "bias"]
)
def test_a_key_changes_with_what_such_a_file_imports(file, said, old, house):
    """The number comes from a module beside it, once in the room and once anywhere on the path."""
    room, name = file.removesuffix(".py").split("/")
    for helper, place in ((f"rnnmc.{room}.helper", f"{room}__helper"), ("elsewhere", "elsewhere")):
        changed = re.sub(r"1(\.0)?", "ONE", old)
        code = NEW[file].replace('"""\n', f'"""\nfrom {helper} import ONE\n', 1).replace(old, changed)
        keys = set()
        for value in ("1", "2", "1"):
            house(**{f"{room}__{name}": code, place: f"{room.upper()} = 'any'\nONE = {value}\n"})
            keys.add(key(**said))
        assert len(keys) == 2, helper


def test_a_key_of_what_comes_with_rnnmc_is_as_it_was():
    """Of this `ENGINE`; other keys of ours are held by their studies."""
    assert key() == "c215b14f3658"
    assert key(drive={"ar1": 0.5}, init={"recurrent": {"orthogonal": 1.0}, "bias": {"uniform": 0.5}}) == "c5e3b49e73f3"


def test_a_thing_that_takes_one_of_our_names_is_not_ours(house):
    before = key(cell="relu")
    house(cells__zz_relu=NEW["cells/softsign.py"].replace('"softsign"', '"relu"'))
    assert key(cell="relu") != before


def test_a_drive_that_python_hands_over_is_known_by_its_file(house):
    keys = set()
    for sign in ("-1.0)", "-2.0)"):
        house(my_drive=NEW["drives/square.py"].replace("-1.0)", sign))
        import my_drive

        keys.add(key(drive=my_drive.Square(half_period=4)))
        del sys.modules["my_drive"]
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("files", "said", "name"),
    [
        (
            {"drives__square": NEW["drives/square.py"] + "\nimport os\nSIZE = os.environ.get('X')\n"},
            {"drive": {"square": 4}},
            "drive square",
        ),
        (
            {"initialisers__coin": NEW["initialisers/coin.py"] + "\nimport os\nSIZE = os.environ.get('X')\n"},
            {"init": {"recurrent": {"coin": 1.0}}},
            "law coin",
        ),
        (
            {"observables__activity": NEW["observables/activity.py"] + "\nimport os\nSIZE = os.environ.get('X')\n"},
            {"observables": ["activity"]},
            "observable activity",
        ),
        (
            {"sloped": cell_file("import os\nSLOPE = float(os.environ.get('X', 1))")},
            {"cell": "sloped:cell"},
            "sloped:cell",
        ),
    ],
)
def test_what_a_key_does_not_see_is_said_once_for_each_thing(files, said, name, house):
    house(**files)
    study = study_of(
        {"study": "own", "points": [{"cell": "tanh", "width": [1, 2]} | said, {"cell": "gru", "width": 1}]}
    )
    (sentence,) = unseen(study.points)
    assert re.fullmatch(
        rf"the key of {name} does not see os\.environ \(\w+\.py, line \d+\): where .* each time", sentence
    )
    assert "\n" not in sentence


@pytest.mark.slow
def test_of_what_comes_with_rnnmc_there_is_nothing_that_a_key_does_not_see():
    for name in ("article", "real"):
        assert unseen(rnnmc.load_study(ROOT / f"config/{name}.yaml").points) == []


@pytest.mark.slow
def test_what_an_observable_of_one_s_own_has_stored_belongs_to_its_source(house, tmp_path):
    code = NEW["observables/activity.py"]
    said = {"study": "seen", "replicates": 6, "horizons": [1, 4]}
    said |= {"points": [{"cell": "tanh", "width": 2, "observables": ["activity", "extremes"]}]}
    house(observables__activity=code)
    sample_here(study_of(said), tmp_path / "out")
    samples = shard_files(tmp_path / "out")
    for text, missing in ((code, 0), (code.replace(".square()", ".abs()"), 1), (code, 0)):
        house(observables__activity=text)
        points = cut_up(study_of(said))
        assert len(jobs_missing(tmp_path / "out", points)) == missing
        assert points[0].observables[1].identity() == points[0].observables[1].written()  # extremes comes with rnnmc
    assert shard_files(tmp_path / "out") == samples
