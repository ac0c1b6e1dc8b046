"""Secrets in a real server: the script has them, and nobody else sees them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inference_server.secrets.store import Store
from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import Server, alive, clean_environment, command, wait_for
from tests.secrets import keyvault
from tests.secrets.keyvault import app_service
from tests.tools import require_module

PASSWORD, TOKEN, KEY = "hunter2-hunter2", 'token\n"of" two lines', "key-of-the-vault"
SECRETS = (PASSWORD, TOKEN, "of two lines", KEY, "second-value")

SCRIPT = """
    import json, logging, os, sys
    from azureml.contrib.services.aml_response import AMLResponse

    print("imported with", os.environ["DB"])
    sys.stderr.write("plainly " + os.environ["TOKEN"] + "\\n")

    def init():
        logging.getLogger("mine").warning("init with %s", os.environ["KEY"])

    def run(data):
        what = json.loads(data)
        if what == "raise":
            raise ValueError("cannot connect to " + os.environ["DB"] + os.environ["TOKEN"])
        if what == "answer":
            try:
                int(os.environ["TOKEN"])
            except ValueError as error:
                return AMLResponse(json.dumps({"error": str(error)}), 502)
        if what == "exit":
            os._exit(1)
        return {name: os.environ.get(name) for name in what}
"""


def reference(text: str) -> str:
    return "${{" + text + "}}"


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A local store and a file; what refers to them."""
    monkeypatch.setitem(sys.modules, "keyring", None)  # nor the keyring of who runs the tests
    Store(tmp_path / "azmlinfsrv" / "secrets.json", lambda: "").set("db/password", PASSWORD)
    (tmp_path / "token").write_text(TOKEN + "\n")
    return {
        "XDG_DATA_HOME": str(tmp_path),
        "DB": f"postgres://app:{reference('secret:db/password')}@db",
        "TOKEN": reference(f"file:{tmp_path}/token"),
        "KEY": reference("env:KEY_OF_THE_MACHINE"),
        "KEY_OF_THE_MACHINE": KEY,
        "LITERAL": "$${{x}}",
        "AZMLINFSRV_SECRETS_PASSPHRASE": "opens-other-stores",
    }


def seen(server: Server) -> str:
    """All that others than the script can see of a server: its log, its routes, the words that it was started with."""
    pids = [server.process.pid, server.front_pid(), *server.worker_pids()]
    words = [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
    routes = ("/", "/livez", "/readyz", "/startupz", "/metrics", "/swagger.json", "/debug/requests")
    return "\n".join([server.log(), *words, *(server.get(path).body.decode() for path in routes)])


def assert_hidden(text: str) -> None:
    for secret in SECRETS:
        for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
            assert form not in text


def test_the_script_has_them_and_nobody_else_sees_them(
    serve: Serve, variables: dict[str, str], tmp_path: Path
) -> None:
    require_module("azure.keyvault.secrets", "azure-keyvault-secrets")
    with keyvault.running(tmp_path) as azure:
        azure.secrets = {("key", ""): KEY}
        vault = {**app_service(azure, tmp_path), "KEY": reference(f"keyvault:{azure.vault}/secrets/key")}
        server = serve(SCRIPT, "--show_errors", env={**variables, **vault})
    asked = ["DB", "TOKEN", "KEY", "LITERAL", "AZMLINFSRV_SECRETS_PASSPHRASE", "AZMLINFSRV_HIDDEN"]
    expected = [f"postgres://app:{PASSWORD}@db", TOKEN, KEY, "${{x}}", None, None]
    assert server.score(asked).json() == dict(zip(asked, expected, strict=True))
    raised = server.score("raise")
    assert raised.status == 500
    assert raised.json()["error"].startswith("ValueError: cannot connect to postgres://app:***@db***")
    answered = server.score("answer")
    assert answered.status == 502
    assert answered.json() == {"error": "invalid literal for int() with base 10: '***'"}
    everything = seen(server) + raised.body.decode() + answered.body.decode()
    assert_hidden(everything)
    for line in (
        "imported with postgres://app:***@db",
        "plainly ***",
        "init with ***",
        "connect to postgres://app:***",
    ):
        assert line in everything
    assert "Read the secrets of " in everything
    own = Path(f"/proc/{server.front_pid()}/environ").read_text()
    assert variables["DB"] in own  # the front's own stays what it was
    assert_hidden(own.replace(f"KEY_OF_THE_MACHINE={KEY}", ""))


def test_rotation_and_what_happens_when_it_fails(
    serve: Serve, variables: dict[str, str], tmp_path: Path
) -> None:
    server = serve(SCRIPT, env=variables)

    def reloads() -> int:
        reload = server.get("/readyz").json().get("reload") or {}
        return reload.get("number", 0) if reload.get("state") != "running" else 0

    (tmp_path / "token").write_text("second-value")
    server.signal(signal.SIGHUP)
    wait_for(lambda: reloads() == 1, 20, "reloaded")
    assert server.score(["TOKEN"]).json() == {"TOKEN": "second-value"}

    (tmp_path / "token").unlink()
    server.signal(signal.SIGHUP)
    wait_for(lambda: reloads() == 2, 20, "tried to reload")
    report = server.get("/readyz").json()["reload"]
    assert report["state"] == "failed"
    assert report["reason"].startswith(
        f"TOKEN: {variables['TOKEN']}: {tmp_path}/token cannot be read: No such file"
    )
    assert "Not reloaded, the old code keeps serving: TOKEN: " in server.log()
    assert server.score(["TOKEN"]).json() == {"TOKEN": "second-value"}

    assert server.score("exit").status == 500  # the new worker gets what was read last
    assert server.score(["TOKEN"]).json() == {"TOKEN": "second-value"}

    front = server.front_pid()
    os.kill(front, signal.SIGKILL)  # and a new front reads anew, until it can
    wait_for(lambda: not alive(front), 10)
    server.wait_log("Worker 1: TOKEN: ", 20)
    (tmp_path / "token").write_text("second-value")
    wait_for(lambda: server.answers("/readyz"), 20, "serves again")
    assert server.score(["TOKEN"]).json() == {"TOKEN": "second-value"}
    assert_hidden(seen(server))


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("--worker_count", "2"), {"WORKER_PRELOAD": "true"}),
        (("--channel", "tcp", "--max_batch_size", "4"), {}),
    ],
)
def test_however_the_workers_are_started(
    serve: Serve, variables: dict[str, str], arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    server = serve(SCRIPT, *arguments, "--show_errors", env={**variables, **env})
    assert server.score(["TOKEN"]).json() == {"TOKEN": TOKEN}
    raised = server.score("raise")
    assert "***" in raised.json()["traceback"]
    assert_hidden(seen(server) + raised.body.decode())


def test_everything_that_is_missing_is_named_and_the_start_fails(
    serve: Serve, variables: dict[str, str]
) -> None:
    bad = {
        "GONE": reference("secret:nothing"),
        "ODD": f"{PASSWORD}{reference('password:x')}",
        "LATE": reference("vault:secret/app#pw"),
    }
    server = serve(SCRIPT, "--worker_count", "2", env={**variables, **bad}, wait=False)
    assert server.wait() == 3
    lines = [line for line in server.log().splitlines() if " azmlinfsrv - " in line and " E [" in line]
    assert len(lines) == 3
    for name, sentence in (
        ("GONE: ${{secret:nothing}}: no such secret in", "azmlinfsrv secret set nothing"),
        ("ODD: ", "a reference of a kind that does not exist"),
        ("LATE: ${{vault:secret/app#pw}}: ", "VAULT_ADDR is not set"),
    ):
        assert any(name in line and sentence in line for line in lines), name
    assert "Traceback" not in server.log()
    assert_hidden(server.log())


def test_a_script_that_does_not_start_says_so_without_them(serve: Serve, variables: dict[str, str]) -> None:
    script = "import os\nraise RuntimeError('no access with ' + os.environ['TOKEN'])\n"
    server = serve(script, env=variables, wait=False)
    assert server.wait() == 3
    assert "RuntimeError: no access with ***" in server.log()
    assert_hidden(server.log())


def test_the_trial_has_them_too(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(
        "import os\ndef init(): print('with', os.environ['DB'])\ndef run(data): raise ValueError(os.environ['DB'])\n"
    )
    (tmp_path / "request.json").write_text("1")

    def trial(**more: str) -> subprocess.CompletedProcess[str]:
        line = command("test", "-r", "request.json")
        env = clean_environment(**{**variables, **more})
        return subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True)

    done = trial()
    assert done.returncode == 1
    assert "ValueError: postgres://app:***@db" in done.stdout
    assert_hidden(done.stdout + done.stderr)
    done = trial(DB=reference("secret:nothing"))
    assert done.returncode == 3
    assert "DB: ${{secret:nothing}}: no such secret in" in done.stderr
