"""A port of its own for health: it says how the server is, and serves nothing else."""

from __future__ import annotations

from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import free_port, wait_for
from tests.end_to_end.talk import Talk, post

SCRIPT = """
    import os, time

    def init():
        while not os.path.exists("go"):
            time.sleep(0.01)

    def run(data):
        return data
"""


def test_health_has_a_port_of_its_own(serve: Serve) -> None:
    health = free_port()
    server = serve(
        SCRIPT,
        *("--health_port", str(health), "--max_connections", "1"),
        env={"SEPERATE_HEALTH_ENDPOINT": "true"},
        wait=False,
    )

    def status(path: str, method: str = "GET") -> int:
        return server.ask(method, path, port=health).status

    # before the first worker is ready: alive, not ready, and both said at once
    server.wait_log("Listening at")
    wait_for(lambda: server.answers("/livez"))
    assert [status(path) for path in ("/", "/livez", "/readyz", "/startupz")] == [503, 200, 503, 503]
    (server.folder / "go").touch()
    server.wait_ready()
    assert [status(path) for path in ("/", "/livez", "/readyz", "/startupz")] == [200] * 4
    assert server.ask("GET", "/", port=health).body == b"Healthy"
    assert status("/", "HEAD") == 200
    # nothing else is served there
    assert [status(path) for path in ("/score", "/swagger.json", "/docs")] == [404] * 3
    assert status("/score", "POST") == 404
    assert server.ask("GET", "/metrics", port=health).body.startswith(b"# HELP")
    assert f"Liveness Probe: GET   127.0.0.1:{health}/" in server.log()
    # the main port still has everything, and its limit of connections does not touch health
    with Talk(server) as only:
        only.send(post(b"1"))
        assert only.reply().json() == "1"
        assert server.get("/").status == 503
        assert status("/livez") == 200
    wait_for(lambda: server.answers("/"))


def test_without_the_variable_there_is_one_port(serve: Serve) -> None:
    health = free_port()
    server = serve("def init(): pass\ndef run(x): return x", "--health_port", str(health))
    try:
        server.ask("GET", "/livez", port=health)
    except ConnectionRefusedError:
        pass
    else:
        raise AssertionError("somebody listens on the health port")
