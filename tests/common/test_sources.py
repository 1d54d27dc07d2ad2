"""What the source of a cell of one's own is: every file that its numbers depend on, and what no file says."""

import hashlib
import sys
from pathlib import Path

import pytest
from own_files import Desk, cell_file, slope_of

from rnnmc.common.sources import comes_with_rnnmc, follow


@pytest.fixture
def desk(tmp_path, monkeypatch):
    desk = Desk(tmp_path, monkeypatch)
    yield desk
    desk.forget()


# --- modules that are followed ----------------------------------------------------------------------

PLAIN = {"sloped.py": cell_file("from slope import SLOPE"), "slope.py": "SLOPE = 0.5\n"}
IMPORTED = "import importlib, sys, os\nfrom pathlib import Path\n"
FOLLOWED = {
    "a constant from the same folder": PLAIN,
    "by its module's name": PLAIN | {"sloped.py": cell_file("import slope as s", slope="s.SLOPE")},
    "by a star": PLAIN | {"sloped.py": cell_file("from slope import *")},
    "inside the step": PLAIN | {"sloped.py": cell_file(inside="from slope import SLOPE")},
    "in a branch": PLAIN | {"sloped.py": cell_file("if len('ab') == 2:\n    from slope import SLOPE")},
    "where the faster one is not there": PLAIN
    | {
        "sloped.py": cell_file(
            "try:\n    from no_such_fast import SLOPE\nexcept ImportError:\n    from slope import SLOPE"
        )
    },
    "through another file": PLAIN
    | {"sloped.py": cell_file("from outer import SLOPE"), "outer.py": "from slope import SLOPE\n"},
    "through three others": PLAIN
    | {
        "sloped.py": cell_file("from outer import f", slope="f()"),
        "outer.py": "import middle\ndef f():\n    return middle.f()\n",
        "middle.py": "def f():\n    from slope import SLOPE\n    return SLOPE\n",
    },
    "in a circle": {
        "sloped.py": cell_file("import slope", slope="slope.f()"),
        "other.py": "import slope\n",
        "slope.py": "import other\ndef f(): return 0.5\n",
    },
    "a folder that is no package": {
        "sloped.py": cell_file("from lib.slope import SLOPE"),
        "lib/slope.py": "SLOPE = 0.5\n",
    },
    "importlib": PLAIN | {"sloped.py": cell_file(IMPORTED + 'SLOPE = importlib.import_module("slope").SLOPE')},
    "importlib under another name": PLAIN
    | {"sloped.py": cell_file("from importlib import import_module as get", slope='get("slope").SLOPE')},
    "__import__": PLAIN | {"sloped.py": cell_file(slope='__import__("slope").SLOPE')},
    "a path that the cell makes": {
        "sloped.py": cell_file(
            IMPORTED + "sys.path.insert(0, str(Path(__file__).parent / 'lib'))\nimport slope as s", slope="s.SLOPE"
        ),
        "lib/slope.py": "SLOPE = 0.5\n",
    },
    "the class of a constant": PLAIN
    | {
        "sloped.py": cell_file("from maker import made\nSLOPE = made.value"),
        "maker.py": "from slope import SLOPE\nclass Made:\n    value = SLOPE\nmade = Made()\n",
    },
    "a cell that is only handed on": {
        "sloped.py": "from inner import cell\n",
        "inner.py": cell_file("from slope import SLOPE"),
        "slope.py": "SLOPE = 0.5\n",
    },
    "what a base class imports": {
        "sloped.py": "from base import Sloped\nclass Mine(Sloped):\n    pass\ncell = Mine()\n",
        "base.py": cell_file("from slope import SLOPE"),
        "slope.py": "SLOPE = 0.5\n",
    },
}
PACKAGE = {"pkg/__init__.py": "", "pkg/slope.py": "SLOPE = 0.5\n"}
IN_PACKAGE = {
    "a relative name": PACKAGE | {"pkg/sloped.py": cell_file("from .slope import SLOPE")},
    "a relative module": PACKAGE | {"pkg/sloped.py": cell_file("from . import slope", slope="slope.SLOPE")},
    "the full name": PACKAGE | {"pkg/sloped.py": cell_file("import pkg.slope", slope="pkg.slope.SLOPE")},
    "what the package hands on": PACKAGE
    | {"pkg/__init__.py": "from .slope import SLOPE\n", "pkg/sloped.py": cell_file("from pkg import SLOPE")},
    "importlib, relative": PACKAGE
    | {
        "pkg/sloped.py": cell_file(
            "from importlib import import_module", 'SLOPE = import_module(".slope", __package__).SLOPE'
        )
    },
    "what the package does when it is imported": {
        "pkg/sloped.py": cell_file("import builtins", slope="builtins.own_slope"),
        "pkg/__init__.py": "from pkg import slope\n",
        "pkg/slope.py": "import builtins\nbuiltins.own_slope = 0.5\n",
    },
    "two levels up": {
        "pkg/__init__.py": "",
        "pkg/base/slope.py": "SLOPE = 0.5\n",
        "pkg/sloped.py": "from pkg.cells.sloped import cell\n",
        "pkg/cells/__init__.py": "",
        "pkg/cells/sloped.py": cell_file("from ..base.slope import SLOPE"),
    },
}
CASES = [(name, files, "sloped:cell") for name, files in FOLLOWED.items()]
CASES += [(name, files, "pkg.sloped:cell") for name, files in IN_PACKAGE.items()]


@pytest.mark.parametrize(("files", "cell"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_digest_changes_with_every_file_that_the_cell_s_numbers_depend_on(files, cell, desk):
    (changed,) = [name for name in files if name.endswith("slope.py")]
    seen = []
    for value in ("0.5", "1.5", "0.5"):
        desk.write(files | {changed: files[changed].replace("0.5", value)})
        source = desk.source(cell)  # before anything is computed
        assert slope_of(cell) == pytest.approx(float(value))  # the file does change a number
        assert source.unseen == ()
        seen.append(source.digest)
    assert seen[0] == seen[2] != seen[1]


def test_a_digest_is_that_of_a_process_that_has_stepped_already(desk):
    desk.write(FOLLOWED["inside the step"])
    before = desk.source()
    slope_of("sloped:cell")  # imports what the step imports
    assert "slope" in sys.modules
    (desk.folder / "again.py").write_text((desk.folder / "sloped.py").read_text())
    assert desk.source("again:cell").digest == before.digest


def test_a_file_that_changed_after_its_import_is_not_what_this_process_runs(desk):
    desk.write(PLAIN | {"second.py": PLAIN["sloped.py"]})
    first = desk.source()
    (desk.folder / "slope.py").write_text("SLOPE = 1.5\n")
    assert desk.source("second:cell").digest == first.digest  # the same text, and the same slope in memory
    assert slope_of("second:cell") == pytest.approx(0.5)
    desk.forget()
    assert desk.source("second:cell").digest != first.digest


# --- what changes nothing -----------------------------------------------------------------------------

ALONE = cell_file("import math, json, os.path\nimport numpy as np\nimport torch, scipy.special\nSLOPE = 0.5")


@pytest.mark.parametrize(
    ("files", "cell"),
    [
        ({"alone.py": ALONE}, "alone:cell"),
        ({"alone.py": ALONE, "stranger.py": "SLOPE = 2\n"}, "alone:cell"),
        ({"pkg/__init__.py": "", "pkg/alone.py": ALONE}, "pkg.alone:cell"),
        ({"pkg/__init__.py": '"""Only words."""\n', "pkg/alone.py": ALONE}, "pkg.alone:cell"),
        ({"alone.py": "try:\n    import no_such_module\nexcept ImportError:\n    pass\n" + ALONE}, "alone:cell"),
        (
            {"alone.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import no_such\n" + ALONE},
            "alone:cell",
        ),
        ({"alone.py": "from rnnmc.cells.functions import sech2\n" + ALONE}, "alone:cell"),
    ],
)
def test_a_cell_that_imports_nothing_of_one_s_own_has_the_digest_of_its_file(files, cell, desk):
    """As it has been since there are digests, so that what old folders hold is found."""
    desk.write(files)
    source = desk.source(cell)
    (text,) = [content for name, content in files.items() if name.endswith("alone.py")]
    assert source == (hashlib.sha256(text.encode()).hexdigest(), ())


def test_the_same_files_elsewhere_have_the_same_digest(tmp_path, monkeypatch):
    digests = set()
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        desk = Desk(tmp_path / place, monkeypatch)
        desk.write(FOLLOWED["through three others"])
        digests.add(desk.source().digest)
        desk.forget()
    assert len(digests) == 1


def test_two_files_that_change_places_are_another_cell(desk):
    digests = set()
    for one, other in (("A = 1\n", "B = 2\n"), ("B = 2\n", "A = 1\n")):
        imports = "import one, other\nSLOPE = getattr(one, 'A', 3)"
        desk.write({"sloped.py": cell_file(imports), "one.py": one, "other.py": other})
        digests.add(desk.source().digest)
    assert len(digests) == 2


# --- installed packages ---------------------------------------------------------------------------------


def installed(desk, name, version, text, folder=False):
    """A package as an installer leaves it; from a folder of this machine, if said."""
    place = f"site-packages/{name}-{version}.dist-info"
    desk.write(
        {
            f"site-packages/{name}/__init__.py": text,
            f"{place}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "sloped.py": cell_file(f"import {name}", slope=f"{name}.SLOPE"),
        }
    )
    if folder:
        desk.write({f"{place}/direct_url.json": '{"url": "file:///x", "dir_info": {}}'})


def test_of_an_installed_package_the_version_counts(desk, monkeypatch):
    monkeypatch.syspath_prepend(str(desk.folder / "site-packages"))
    installed(desk, "dummy_one", "1.0", "SLOPE = 0.5\n")
    one = desk.source()
    assert "dummy_one 1.0" in follow(["sloped"]).versions
    installed(desk, "dummy_one", "1.0", "SLOPE = 0.6\n")
    assert desk.source() == one
    installed(desk, "dummy_two", "2.0", "SLOPE = 0.5\n")
    two = follow(["sloped"])
    assert two.versions == {"dummy_two 2.0"}
    assert [Path(path).name for path in two.files] == ["sloped.py"]
    assert two.digest() != b""


def test_what_was_installed_from_a_folder_or_only_put_there_is_followed(desk, monkeypatch):
    monkeypatch.syspath_prepend(str(desk.folder / "site-packages"))
    installed(desk, "dummy_local", "1.0", "SLOPE = 0.5\n", folder=True)
    digests = [desk.source().digest]
    installed(desk, "dummy_local", "1.0", "SLOPE = 0.6\n", folder=True)
    digests.append(desk.source().digest)
    for value in ("0.5", "0.6"):
        desk.write({"site-packages/dummy_loose.py": f"SLOPE = {value}\n"})
        desk.write({"sloped.py": cell_file("from dummy_loose import SLOPE")})
        digests.append(desk.source().digest)
    assert len(set(digests)) == 4


# --- what cannot be followed ------------------------------------------------------------------------------

READS = "from pathlib import Path\nHERE = Path(__file__).parent\n"
UNSEEN = {
    "open": ("SLOPE = float(open(__file__[:-9] + 'slope.txt').read())", "open (sloped.py, line 3)"),
    "read_text": (READS + "SLOPE = float((HERE / 'slope.txt').read_text())", "read_text (sloped.py, line 5)"),
    "numpy": ("import numpy as np\nSLOPE = float(np.loadtxt(__file__[:-9] + 'slope.txt'))", "numpy.loadtxt"),
    "numpy, by its name": (
        "from numpy import genfromtxt as g\nSLOPE = float(g(__file__[:-9] + 'slope.txt'))",
        "genfromtxt",
    ),
    "torch": ("import torch\ndef get(): return torch.load('x.pt')\nSLOPE = 1", "torch.load"),
    "yaml": ("import yaml\ndef get(stream): return yaml.safe_load(stream)\nSLOPE = 1", "yaml.safe_load"),
    "polars": ("import polars as pl\ndef get(): return pl.read_csv('x')\nSLOPE = 1", "polars.read_csv"),
    "handed over": ("import numpy as np\nSLOPE = list(map(np.load, []))or 1", "numpy.load"),
    "getattr": ("import numpy as np\nget = getattr(np, 'load')\nSLOPE = 1", "numpy.load"),
    "the environment": ("import os\nSLOPE = float(os.environ.get('OWN_SLOPE', 1))", "os.environ"),
    "getenv": ("from os import getenv\nSLOPE = float(getenv('OWN_SLOPE', '1'))", "os.getenv"),
    "the clock": ("import time\nSLOPE = 1 + 0 * time.time()", "time.time"),
    "the day": ("from datetime import datetime\nSLOPE = 1 + 0 * datetime.now().year", "datetime.datetime.now"),
    "the clock by a star": ("from time import *\nSLOPE = 1 + 0 * time()", "time.time (sloped.py, line 4)"),
    "arguments": ("import sys\nSLOPE = 1 + 0 * len(sys.argv)", "sys.argv"),
    "random": ("import random\nSLOPE = random.random()", "random.random"),
    "numpy without a seed": (
        "import numpy as np\nSLOPE = np.random.default_rng().uniform()",
        "numpy.random.default_rng",
    ),
    "numpy with None for a seed": ("import numpy as np\nSLOPE = np.random.default_rng(None).uniform()", "default_rng"),
    "numpy under a second name": ("import numpy as np\nr = np.random\nSLOPE = r.rand()", "numpy.random.rand"),
    "torch without a seed": ("import torch\nSLOPE = torch.rand(1).item()", "torch.rand"),
    "a layer of torch": ("from torch import nn\nlayer = nn.Linear(2, 2)\nSLOPE = 1", "torch.nn.Linear"),
    "in place": ("import torch\nSLOPE = torch.empty(1).uniform_().item()", "uniform_"),
    "dropout": ("import torch.nn.functional as F\ndef drop(x): return F.dropout(x)\nSLOPE = 1", "functional.dropout"),
    "exec": ("exec('SLOPE = 1')", "exec"),
    "a loader": (
        "from importlib.util import spec_from_file_location as s\nSLOPE = 1 if s else 0",
        "spec_from_file_location",
    ),
    "a process": ("import subprocess\nSLOPE = 1 if subprocess.run else 0", "subprocess.run"),
    "a computed name": (
        IMPORTED + "SLOPE = importlib.import_module('ma' + 'th').pi",
        "importlib.import_module (sloped.py, line 5)",
    ),
    "a module of later": (
        "SLOPE = 1\ndef later():\n    import no_such_module_yet",
        "the module no_such_module_yet, which is not found (sloped.py)",
    ),
}


@pytest.mark.parametrize(("imports", "said"), UNSEEN.values(), ids=UNSEEN)
def test_what_no_file_says_is_named_with_its_place(imports, said, desk):
    desk.write({"slope.txt": "0.5"})
    desk.write({"sloped.py": cell_file(imports)})
    (sight,) = desk.source().unseen
    assert said in sight
    assert "sloped.py" in sight


def test_what_a_helper_reads_is_named_with_the_helper_s_place(desk):
    desk.write({"sloped.py": cell_file("from outer import SLOPE"), "outer.py": "from deep import SLOPE\n"})
    desk.write({"deep.py": "import os\n\nSLOPE = float(os.environ.get('OWN_SLOPE', 1))\n"})
    assert desk.source().unseen == ("os.environ (deep.py, line 3)",)


def test_a_module_by_a_computed_name_is_followed_where_it_can_be_and_said(desk):
    code = IMPORTED + "s = importlib.import_module('slo' + 'pe')"
    digests = set()
    for value in ("0.5", "1.5"):
        desk.write({"sloped.py": cell_file(code, slope="s.SLOPE"), "slope.py": f"SLOPE = {value}\n"})
        assert desk.source().unseen == ("importlib.import_module (sloped.py, line 5)",)
        digests.add(desk.source().digest)
    assert len(digests) == 2


SEEN = {
    "a seed": "import numpy as np\nSLOPE = np.random.default_rng(7).uniform()",
    "the old seed": "import numpy as np\nSLOPE = np.random.RandomState(seed=7).uniform()",
    "Python's seed": "import random\nSLOPE = random.Random(3).random()",
    "torch's seed": "import torch\ntorch.manual_seed(3)\nSLOPE = torch.rand(1).item()",
    "a generator": "import torch\ng = torch.Generator().manual_seed(3)\nSLOPE = torch.rand(1, generator=g).item()",
    "a generator that is only named": "import numpy as np\ndef f(rng: np.random.Generator): return rng\nSLOPE = 1",
    "a layer that is only named": "import torch\nSLOPE = 1 + isinstance(3, torch.nn.Linear)",
    "a star of one's own": "from outer import *\nSLOPE = 1",
    "one's own random": "import lib.random as random\nSLOPE = random.load()",
    "a name like a reader": "class Gate:\n    open = 1\nSLOPE = Gate().open",
    "an argument like a reader": "def f(input, open): return input + open\nSLOPE = f(0, 1)",
    "what parses a text": "import json\nSLOPE = json.loads('1')",
    "a reader of one's own": "from outer import load_slope\nSLOPE = load_slope()",
    "arithmetic": "import numpy as np, torch\nSLOPE = float(np.exp(torch.zeros(1)).sum())",
}


@pytest.mark.parametrize("imports", SEEN.values(), ids=SEEN)
def test_nothing_is_said_of_what_the_files_do_say(imports, desk):
    desk.write({"sloped.py": cell_file(imports), "outer.py": "def load_slope(): return 1\n"})
    desk.write({"lib/random.py": "def load(): return 1\n"})
    assert desk.source().unseen == ()


def test_a_seed_excuses_no_file(desk):
    desk.write(
        {"sloped.py": cell_file("import torch\ntorch.manual_seed(3)\ndef f(): return torch.load('x')\nSLOPE = 1")}
    )
    assert desk.source().unseen == ("torch.load (sloped.py, line 5)",)


# --- what comes with rnnmc ----------------------------------------------------------------------------------


def test_what_comes_with_rnnmc_is_told_from_what_somebody_put_beside_it():
    assert all(
        comes_with_rnnmc(f"rnnmc.{name}") for name in ("cells.lstm", "drives", "drives.white", "numerics.layout")
    )
    assert not any(comes_with_rnnmc(name) for name in ("rnnmc.cells.mine", "rnnmc.drives.mine", "rnnmcx", "torch"))
