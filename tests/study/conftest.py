"""Study files that are read, or refused."""

import pytest
from studies import HEAD

from rnnmc.common.errors import UsageError
from rnnmc.study.study import load_study


@pytest.fixture
def load(tmp_path):
    def read(text, head=HEAD):
        path = tmp_path / "x.yaml"
        path.write_text(head + text)
        return load_study(path)

    return read


@pytest.fixture
def refused(load, tmp_path):
    """The sentence with which a file is refused, from the file's own name on."""

    def read(text, head=HEAD):
        with pytest.raises(UsageError) as caught:
            load(text, head)
        sentence = str(caught.value)
        assert "\n" not in sentence
        assert sentence.startswith(f"{tmp_path / 'x.yaml'}:")
        assert "Traceback" not in sentence
        return sentence.removeprefix(f"{tmp_path}/")

    return read
