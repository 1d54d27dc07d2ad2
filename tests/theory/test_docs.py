"""docs/theory.md says what the code says."""

import re
from pathlib import Path

from rnnmc.theory import laws

PAGE = (Path(__file__).parents[2] / "docs/theory.md").read_text(encoding="utf-8")


def test_the_page_has_a_row_for_every_law_with_its_formula_and_source_under_its_own_heading():
    exact, large = PAGE.split("## Exact for every width and horizon")[1].split("## Large width")
    for section, wanted in ((exact, True), (large, False)):
        rows = {row[0]: row for row in re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)}
        assert set(rows) == {name for name, law in laws().items() if law.exact is wanted}
        for name, (_, rest) in rows.items():
            assert f"`{laws()[name].formula.replace('|', chr(92) + '|')}`" in rest
            assert rest.endswith(laws()[name].source)


def test_the_example_of_the_page_runs():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "docs/theory.md", "exec"), {})
