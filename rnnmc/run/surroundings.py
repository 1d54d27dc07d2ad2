"""What Ray's processes need around them, wherever that is: a short path for sockets, a home, a name, a token.

A socket's path may have 107 characters, of which Ray takes more than 70; TMPDIR, the home and the list of users are as
the machine has them, and may be long, read-only or not there at all.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rnnmc.common.errors import RunError
from rnnmc.common.files import PREFIX, held_folder, is_held
from rnnmc.numerics.trusted import folders

LONGEST = 20  # characters of a folder in which ours is made
PLACES = ("/tmp", "/var/tmp", "/dev/shm")  # after the user's own
TOKEN = "token"  # the kind of what is kept
TOKEN_FILE = Path("~/.ray/auth_token")  # where Ray keeps it, unless RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH says
OF_RAY = ("ray", "pymp-")  # how names begin of what Ray's last processes write, after our folder and its lock have gone
SETTLED = 10.0  # seconds after which they have ended


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder of this user alone with a short path, for sockets, logs and temporary files; it goes with the process.

    What processes that were killed have left of such folders goes too. Raises RunError where none can be made.
    """
    tops = list(_tops())
    remove_left()
    with ExitStack() as stack:
        if (folder := next((made for top in tops if (made := _made(top, stack))), None)) is None:
            raise RunError(
                f"no folder for Ray's sockets can be made in {', '.join(map(str, tops))}; set RAY_TMPDIR to a folder "
                f"that you can write to, with a path of at most {LONGEST} characters"
            )
        atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after what Ray does then: its last write on
        stack.callback(remove_left)
        stack.callback(_remove, folder)
        yield folder


@contextmanager
def own_temporary() -> Iterator[dict[str, str]]:
    """What to add to the environment of a process, so that its temporary files go with this one though it is killed.

    A home too, and a name, where this user has none: Snakemake ends where it cannot write there.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(private_folder())
        except RunError:  # it has its own then
            yield {}
        else:
            yield _of_nobody(folder) | {"TMPDIR": str(folder)}


def remove_left() -> None:
    """Remove what processes that were killed have left of their folders, and end what still runs in these."""
    for top in _tops():
        _remove_left(top)


def _tops() -> Iterator[Path]:
    said = [os.environ.get("RAY_TMPDIR"), os.environ.get("TMPDIR"), *PLACES, os.environ.get("XDG_RUNTIME_DIR")]
    yield from dict.fromkeys(Path(place) for place in said if place and len(place) <= LONGEST)


def _made(top: Path, stack: ExitStack) -> Path | None:
    with suppress(OSError):
        return stack.enter_context(held_folder(top))
    return None


def _remove_left(top: Path) -> None:
    """Remove our own folders there whose process has died: nobody holds the lock in them, or there is none any more."""
    with suppress(OSError):
        for folder in top.glob(f"{PREFIX}*"):
            with suppress(OSError):
                if folder.stat().st_uid == os.getuid() and (_was_rays(folder) or not is_held(folder)):
                    _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder of ours with what was started with it for Ray's: a worker that was starting when its raylet was
    killed waits for it, and writes on.
    """
    given = f"RAY_TMPDIR={folder}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended, or is another user's
            if given in environment.read_bytes().split(b"\0"):
                os.kill(int(environment.parent.name), signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _was_rays(folder: Path) -> bool:
    """Whether this is what Ray's last processes have made again of one that was removed."""
    inside = [path.name for path in folder.iterdir()]
    known = bool(inside) and all(name.startswith(OF_RAY) for name in inside)
    return known and time.time() - folder.stat().st_mtime > SETTLED


@contextmanager
def surroundings() -> Iterator[None]:
    """Have this process, and what it starts, find all that its own Ray needs, for the duration. Raises RunError."""
    with private_folder() as folder:
        before = dict(os.environ)
        changed = {"RAY_TMPDIR": str(folder), "TMPDIR": str(folder)} | _of_nobody(folder)
        os.environ.update(changed)
        tempfile.tempdir = None  # it is found anew
        try:
            yield
        finally:
            for name in changed:
                os.environ.pop(name)
                if name in before:
                    os.environ[name] = before[name]
            tempfile.tempdir = None


def _of_nobody(folder: Path) -> dict[str, str]:
    """The home and the name of who has none: a container's user may be on no list. The token stays where it is."""
    said = {} if {"LOGNAME", "USER"} & os.environ.keys() else {"USER": f"user{os.getuid()}"}
    if _has_home():
        return said
    settle_token()
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return said | {"HOME": str(folder)} | ({"RAY_AUTH_TOKEN_PATH": path} if path else {})


def _has_home() -> bool:
    try:
        return os.access(Path.home(), os.W_OK)
    except RuntimeError:  # nobody knows this user
        return False


def settle_token() -> None:
    """See to it that there is a token which nobody else can read, where the environment names none.

    In a home where none can be kept, RAY_AUTH_TOKEN_PATH says where it is.
    """
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    with suppress(OSError, RuntimeError):
        path = TOKEN_FILE.expanduser()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _keep_token(path)
        return
    for folder in folders(TOKEN):
        with suppress(OSError):
            _keep_token(folder / TOKEN_FILE.name)
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(folder / TOKEN_FILE.name)
            return


def _keep_token(path: Path) -> None:
    """Make it, unless there is one; take from others what they may do with it. Raises OSError."""
    with suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
