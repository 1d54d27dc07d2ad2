"""What is kept on disk is this user's own and proved before it is trusted; anything else is made again."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
from pathlib import Path

import pytest

from rnnmc.numerics import compiler, trusted

KIND, NAME, SAID = "things", "one.bin", b"the very bytes" * 100

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can make files of somebody else")
needs_compiler = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler on this machine")


@pytest.fixture
def places(tmp_path: Path, monkeypatch) -> tuple[Path, Path]:
    """(cache, folder for temporary files) of a user who has nothing there yet."""
    cache, temporary = tmp_path / "cache", tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(trusted.tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(trusted, "_of_this_process", [])
    return cache, temporary


def test_what_is_kept_is_found_whole_in_a_folder_of_this_user_alone(places):
    assert trusted.found(KIND, NAME) is None
    path = trusted.keep(KIND, NAME, SAID)
    assert path == places[0] / "rnnmc" / KIND / NAME
    assert trusted.found(KIND, NAME) == path
    assert trusted.content(path) == SAID
    for one in (path, path.parent, path.parent.parent):
        assert not stat.S_IMODE(one.stat().st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
    assert [one.name for one in path.parent.iterdir()] == [NAME]  # no half-written file is left


DAMAGES = {
    "cut to a half": lambda whole: whole[: len(whole) // 2],
    "empty": lambda whole: b"",
    "shorter than a digest": lambda whole: whole[:5],
    "one bit flipped": lambda whole: whole[:70] + bytes([whole[70] ^ 1]) + whole[71:],
    "a bit of the digest flipped": lambda whole: whole[:-1] + bytes([whole[-1] ^ 128]),
    "of the same length, all zero": lambda whole: bytes(len(whole)),
    "longer": lambda whole: whole + b"x",
    "begins later": lambda whole: whole[1:],
    "another file": lambda whole: b"#!/bin/sh\n",
    "without a digest": lambda whole: SAID,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_told_of_removed_and_made_again(places, caplog, damage):
    path = trusted.keep(KIND, NAME, SAID)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(ValueError, match="is damaged"):
        trusted.content(path)
    with caplog.at_level(logging.WARNING, "rnnmc"):
        assert trusted.found(KIND, NAME) is None
    assert "is damaged; it is made again" in caplog.text
    assert not path.exists()
    assert trusted.content(trusted.keep(KIND, NAME, SAID)) == SAID


@needs_root
@pytest.mark.parametrize("whose", ["top", "folder", "file", "link"])
def test_what_somebody_else_owns_is_never_trusted(places, caplog, whose):
    path = trusted.keep(KIND, NAME, SAID)
    theirs = {"top": path.parent.parent, "folder": path.parent, "file": path, "link": path}[whose]
    if whose == "link":  # to a whole file of their own
        elsewhere = places[0] / "theirs"
        path.rename(elsewhere)
        os.chown(elsewhere, 12345, 12345)
        path.symlink_to(elsewhere)
    else:
        os.chown(theirs, 12345, 12345)
    with caplog.at_level(logging.WARNING, "rnnmc"):
        assert trusted.found(KIND, NAME) is None
    trusted._tell.cache_clear()
    assert "belongs to somebody else" in caplog.text
    again = trusted.keep(KIND, NAME, SAID)
    assert trusted.content(again) == SAID
    assert again.stat().st_uid == os.geteuid()
    assert (places[1] in again.parents) == (whose in ("top", "folder"))


@needs_root
def test_a_folder_planted_under_the_predictable_name_is_passed_over(places, monkeypatch):
    cache, temporary = places
    cache.write_text("no folder")  # so that the cache cannot be made
    planted = temporary / f"rnnmc-{os.getuid()}" / KIND
    planted.mkdir(parents=True)
    (planted / NAME).write_bytes(SAID + trusted.hashlib.sha256(SAID).digest())
    for one in (planted, planted.parent, planted / NAME):
        os.chown(one, 12345, 12345)
    trusted._tell.cache_clear()
    assert trusted.found(KIND, NAME) is None
    own = trusted.keep(KIND, NAME, b"ours")
    assert planted.parent not in own.parents
    assert trusted.content(own) == b"ours"
    assert trusted.found(KIND, NAME) == own  # by this process, as long as it lives


def test_a_file_that_others_may_write_is_not_trusted_and_a_folder_is_closed_to_them(places, caplog):
    path = trusted.keep(KIND, NAME, SAID)
    path.parent.chmod(0o777)
    assert trusted.found(KIND, NAME) == path
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o666)
    with caplog.at_level(logging.WARNING, "rnnmc"):
        assert trusted.found(KIND, NAME) is None
    assert "may be written by others" in caplog.text


def test_without_a_home_or_a_cache_the_next_place_is_taken(places, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    path = trusted.keep(KIND, NAME, SAID)
    assert path == places[1] / f"rnnmc-{os.getuid()}" / KIND / NAME
    assert trusted.found(KIND, NAME) == path


@needs_compiler
@pytest.mark.parametrize("damage", ["cut to a half", "one bit flipped", "another file"])
def test_a_damaged_kernel_is_compiled_again(places, damage):
    text = "int follow(void) { return 7; }"
    assert compiler.compiled(text, "follow")() == 7
    (library,) = places[0].rglob("*.so")
    whole = library.read_bytes()
    library.unlink()  # the loader knows the old file by its number
    library.write_bytes(DAMAGES[damage](whole))
    assert compiler.compiled(text, "follow")() == 7
    (again,) = places[0].rglob("*.so")
    assert again.read_bytes()[: -trusted.DIGEST] == trusted.content(again)


@needs_compiler
def test_what_is_remembered_of_a_kernel_is_asked_again_where_it_is_damaged(places):
    asked = []

    def say() -> str:
        asked.append(1)
        return "agrees"

    source = "int follow(void) { return 7; }"
    assert [compiler.remembered(source, "about", say) for _ in range(2)] == ["agrees", "agrees"]
    assert len(asked) == 1
    (path,) = places[0].rglob("*.txt")
    path.write_bytes(path.read_bytes().replace(b"agrees", b"differs"))
    assert compiler.remembered(source, "about", say) == "agrees"
    assert len(asked) == 2


@needs_compiler
def test_a_compiler_that_takes_too_long_is_no_traceback(places, monkeypatch, caplog):
    def late(*_, **__):
        raise subprocess.TimeoutExpired("cc", 120)

    monkeypatch.setattr(subprocess, "run", late)
    with caplog.at_level(logging.WARNING, "rnnmc"):
        assert compiler.compiled("int other(void) { return 8; }", "other") is None
    assert "a kernel could not be compiled" in caplog.text
