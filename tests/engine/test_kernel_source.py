"""The C that `rnnmc kernel` prints is what runs, and what docs/design.md shows of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from rnnmc.cells import cells
from rnnmc.engine.choice import compiled_kernel
from rnnmc.engine.compiled import follow
from rnnmc.engine.kernel_source import kernel_source
from rnnmc.study.point import DesignPoint

DESIGN = Path(__file__).parents[2] / "docs/design.md"


def test_every_excerpt_of_docs_design_is_in_the_kernel_that_it_walks_through():
    section = DESIGN.read_text(encoding="utf-8").partition("## How a kernel is made")[2].partition("\n## ")[0]
    excerpts = re.findall(r"```c\n(.*?)```", section, re.DOTALL)
    said = kernel_source("tanh", 4, "float32")
    assert len(excerpts) == 4
    assert not [excerpt for excerpt in excerpts if excerpt not in said]


@pytest.mark.parametrize(
    ("width", "dtype", "layers"),
    [(4, "float32", ()), (64, "float32", ()), (4, "float64", ()), (3, "float32", (2,)), (3, "float64", (3, True))],
)
def test_what_is_printed_is_what_the_compiler_is_given_for_such_a_point(width, dtype, layers, monkeypatch):
    given = []
    monkeypatch.setattr(follow, "compiled", lambda text, name: given.append(text))
    depth = dict(zip(("layers", "residual"), layers, strict=False))
    kernel = compiled_kernel(DesignPoint(cell="tanh", width=width, dtype=dtype, **depth))
    follow.kernel.__wrapped__("tanh", width, getattr(torch, dtype), kernel.endswith("columns"), *layers)
    head, _, code = kernel_source("tanh", width, dtype, *layers).partition("\n")
    stack = {(): "tanh", (2,): "tanh x 2", (3, True): "tanh x 3 residual"}[layers]
    assert head == f"/* {stack}, width {width}, {dtype}: {kernel} */"
    assert [code] == given


def test_of_units_that_read_no_other_the_chain_of_one_is_printed(monkeypatch):
    given = []
    monkeypatch.setattr(follow, "compiled", lambda text, name: given.append(text))
    follow.kernel.__wrapped__("lru", 1, torch.float32, True, apart=True, alone=True)
    head, _, code = kernel_source("lru", 700, "float32").partition("\n")
    assert head == "/* lru, width 700, float32: compiled units */"
    assert [code] == given


@pytest.mark.parametrize("name", list(cells()))
def test_every_cell_of_ours_has_a_kernel(name):
    assert "void follow(" in kernel_source(name, 16, "float32")
