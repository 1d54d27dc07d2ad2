"""A stand-in for the Hugging Face hub on this machine, behind a proxy and a certificate of its own.

It lists the files of one data set and gives them, whole or in ranges, as far as Polars asks; that the real hub does the
same is what its documentation says, and no test.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

HOST = "huggingface.co"
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
AUTHORITY, OWN = ["-keyout", "ca.key", "-out", "ca.pem"], ["-keyout", "own.key", "-out", "own.csr"]

SIGNED = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]


@contextmanager
def hub(data_set: Path, name: str, folder: Path) -> Iterator[dict[str, str]]:
    """Serve a folder as `hf://datasets/<name>`; yields the environment in which a process finds it there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*_certificate(folder))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # closed: the test is over
                while True:
                    client, _ = server.accept()
                    threading.Thread(target=_answer, args=(client, context, data_set, name), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        port = server.getsockname()[1]
        yield {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "SSL_CERT_FILE": str(folder / "ca.pem"), "NO_PROXY": ""}
        server.shutdown(socket.SHUT_RDWR)


def has_openssl() -> bool:
    return shutil.which("openssl") is not None


def _certificate(folder: Path) -> tuple[Path, Path]:
    (folder / "names").write_text(f"subjectAltName=DNS:{HOST}\n")
    for words in (
        ["req", "-x509", *EC, *AUTHORITY, "-subj", "/CN=test", "-days", "1"],
        ["req", *EC, *OWN, "-subj", f"/CN={HOST}"],
        ["x509", "-req", "-in", "own.csr", *SIGNED, "-out", "own.pem", "-days", "1", "-extfile", "names"],
    ):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    return folder / "own.pem", folder / "own.key"


def _head(file: BinaryIO) -> list[str]:
    """The lines up to the empty one; none at the end of the connection, where there is nothing to wait for."""
    lines = []
    while line := file.readline().strip():
        lines.append(line.decode())
    return lines


def _answer(client: socket.socket, context: ssl.SSLContext, data_set: Path, name: str) -> None:
    with suppress(OSError), client:
        if _head(client.makefile("rb"))[:1] != [f"CONNECT {HOST}:443 HTTP/1.1"]:
            return
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with context.wrap_socket(client, server_side=True) as inside:
            requests = inside.makefile("rb")
            while head := _head(requests):
                inside.sendall(_reply(head, data_set, name))


def _reply(head: list[str], data_set: Path, name: str) -> bytes:
    method, place, _ = head[0].split()
    place, status, more = unquote(place), "200 OK", "Accept-Ranges: bytes\r\n"
    files = {path.relative_to(data_set).as_posix(): path for path in data_set.rglob("*") if path.is_file()}
    wanted = place.removeprefix(f"/datasets/{name}/resolve/main/")
    if place.startswith(f"/api/datasets/{name}/tree/main/"):
        below = place.removeprefix(f"/api/datasets/{name}/tree/main/").partition("?")[0]
        body = json.dumps(
            [
                {"type": "file", "oid": "0", "size": path.stat().st_size, "path": file}
                for file, path in files.items()
                if file.startswith(below)
            ]
        ).encode()
    elif wanted in files:
        body = files[wanted].read_bytes()
        asked = re.search(r"range: bytes=(\d*)-(\d*)", "\n".join(head), re.IGNORECASE)
        if asked:
            first, last = asked.groups()
            start = int(first) if first else max(0, len(body) - int(last))
            end = min(int(last) + 1, len(body)) if first and last else len(body)
            status, more = "206 Partial Content", f"{more}Content-Range: bytes {start}-{end - 1}/{len(body)}\r\n"
            body = body[start:end]
    else:
        status, body = "404 Not Found", b'{"error": "not there"}'
    told = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
    return told if method == "HEAD" else told + body
