"""The other place of a study: an address of an Arrow file system, such as s3://bucket/prefix, with a copy of its files.

Files appear there whole or not at all, as they do in a folder: an object is there once its upload has ended, and on a
file system a file is written under another name first.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from rnnmc.common.errors import RunError, UsageError, first_line
from rnnmc.store.folder import manifest_path
from rnnmc.store.plan import POINTS_PARQUET, STUDY_YAML, planned_rows, study_said
from rnnmc.store.shards import facts_of

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

OBJECTS = {"s3": "s3://", "gcs": "gs://"}  # file systems of objects, which appear once they are closed -> as said
SECONDS = {"connect_timeout": 5.0, "request_timeout": 10.0}  # of silence, four times; its own are minutes
GS_SECONDS = "retry_limit_seconds=30"  # its own are a quarter of an hour
ACCESS = (
    "give an address that is there, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL where the "
    "server is not Amazon's"
)


@dataclass(frozen=True)
class Remote:
    """One study at an address. told: the address for people. root: its place in the file system. options: of Polars for
    the server, where the address says any.
    """

    told: str
    filesystem: FileSystem
    root: str
    options: dict[str, str] | None

    def files(self) -> dict[str, FileInfo]:
        """Every file there, by its name below the address. Raises UsageError where it cannot be looked at."""
        from pyarrow.fs import FileSelector, FileType

        try:
            found = self.filesystem.get_file_info(FileSelector(self.root, allow_not_found=True, recursive=True))
            bucket = self.root.partition("/")[0]
            if not found and self._of_objects:  # a bucket that is not there has nothing in it either
                there = self.filesystem.get_file_info(bucket).type
                if there == FileType.NotFound:
                    raise UsageError(f"{self.told}: there is no bucket {bucket}; make it, or give another address")
        except OSError as error:
            raise UsageError(f"{self.told}: cannot be read ({_words(error)}); {ACCESS}") from None
        return {one.path[len(self.root) + 1 :]: one for one in found if one.type == FileType.File}

    def read(self, name: str) -> bytes:
        """The content of a file. Raises RunError."""
        try:
            with self.filesystem.open_input_stream(f"{self.root}/{name}") as file:
                return file.read()
        except OSError as error:
            raise RunError(f"{self.told}/{name}: cannot be read ({_words(error)})") from None

    def put(self, name: str, content: bytes) -> None:
        """Leave a file there, whole or not at all. Raises RunError."""
        path = f"{self.root}/{name}"
        part = path if self._of_objects else f"{path}.{uuid.uuid4().hex}.part"
        try:
            if not self._of_objects:
                self.filesystem.create_dir(path.rpartition("/")[0])
            with self.filesystem.open_output_stream(part) as file:
                file.write(content)
            if part != path:
                self.filesystem.move(part, path)
        except OSError as error:
            with suppress(OSError):
                if part != path:
                    self.filesystem.delete_file(part)
            raise RunError(f"{self.told}/{name}: cannot be put there ({_words(error)})") from None

    def facts_of(self, name: str) -> dict[str, Any]:
        """As `rnnmc.store.shards.facts_of`, of a shard that lies there."""
        try:
            with self.filesystem.open_input_file(f"{self.root}/{name}") as file:
                return facts_of(file)
        except OSError:
            return {}

    def for_polars(self, name: str) -> str:
        """A file as Polars names it."""
        return f"{OBJECTS.get(self.filesystem.type_name, '')}{self.root}/{name}"

    @property
    def _of_objects(self) -> bool:
        return self.filesystem.type_name in OBJECTS


def is_address(place: str | Path) -> bool:
    """Whether this is an address rather than a path."""
    return "://" in str(place)


def remote(address: str, study: str = "") -> Remote:
    """The study of this name below an address, or the one that lies at it. Asks nobody yet.

    Raises UsageError for what is no address of an Arrow file system.
    """
    from pyarrow.fs import FileSystem, S3FileSystem

    place, query = parted(address)
    place = f"{place}/{study}" if study else place
    query = query or (GS_SECONDS if place.startswith("gs://") else "")
    try:
        filesystem, root = FileSystem.from_uri(f"{place}?{query}" if query else place)
        if isinstance(filesystem, S3FileSystem):  # an address cannot say what follows
            make, (said,) = filesystem.__reduce__()
            filesystem = make(said | SECONDS | {"allow_delayed_open": True})  # one request for what is small
    except (OSError, ValueError) as error:
        raise UsageError(f"{place}: cannot be used ({_words(error)}); {ACCESS}") from None
    return Remote(place, filesystem, root.rstrip("/"), polars_options(query))


def remote_of(directory: Path) -> Remote | None:
    """The other place of the study in this folder, where study.yaml names one. Raises UsageError, Damaged."""
    said = study_said(directory)
    return remote(said["results"], said["study"]) if said.get("results") else None


def parted(address: str) -> tuple[str, str]:
    """(an address without what it says of the server, that)."""
    place, _, query = address.partition("?")
    return place.rstrip("/"), query


def polars_options(query: str) -> dict[str, str] | None:
    """What an address says of the server, in the words of Polars; None where that is nothing."""
    said = dict(parse_qsl(query))
    server, scheme = said.get("endpoint_override", ""), said.get("scheme", "https")
    options = {"aws_endpoint_url": server if "://" in server else f"{scheme}://{server}"} if server else {}
    return options | ({"aws_region": said["region"]} if "region" in said else {}) or None


def describe(place: Remote, files: Collection[str], folder: Path) -> None:
    """Bring what describes the study at a place, without its shards: its plan, and manifests where these decide.

    Raises UsageError where no study lies there, RunError.
    """
    for name in (STUDY_YAML, POINTS_PARQUET):
        if name not in files:
            raise UsageError(f"{place.told}: has no {name}; give the address of a study, with its name at the end")
        (folder / name).write_bytes(place.read(name))
    for stored in planned_rows(folder):
        path = manifest_path(folder, stored)
        if stored.until is not None and (name := str(path.relative_to(folder))) in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(place.read(name))


def _words(error: Exception) -> str:
    """What went wrong, without the request that it went wrong in."""
    said = first_line(error)
    return said[max(said.find("AWS Error"), 0) :].partition("; Details")[0]
