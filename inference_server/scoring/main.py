"""The life of a worker process: connect, load the script, serve, exit."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import mmap
import os
import socket
from typing import Any, Dict, List, Optional, Tuple

from inference_server.scoring import debugger, errors, logconfig, logs, records, redaction, wire
from inference_server.scoring.allocator import keep_memory
from inference_server.scoring.channel import Channel, FrontGone, record, say
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.importing import imported, tell_imports
from inference_server.scoring.parent import die_with_parent
from inference_server.scoring.script import Script, load
from inference_server.scoring.worker import Worker, describe, send_entry

FAILED_EXIT = 3

logger = logging.getLogger("azmlinfsrv")

_channel: Optional[Channel] = (
    None  # this process's own; a fork of a template gets another than it was loaded with
)


def main(argv: List[str]) -> int:
    """Run one worker, or a template that forks workers; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bootstrap.py", description="a worker; started by the front only")
    parser.add_argument("--parent", type=int, required=True, help="process id of the front")
    parser.add_argument("--fd", type=int, help="descriptor of the channel's socket")
    parser.add_argument("--page", type=int, help="descriptor of the shared page")
    parser.add_argument("--connect", type=int, help="loopback port of the channel, instead of --fd")
    parser.add_argument("--template", action="store_true", help="fork workers instead of serving")
    options = parser.parse_args(argv)
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # standard error may be closed
        faulthandler.enable()
    keep_memory()
    redaction.start()
    channel = Channel(*_open(options.fd, options.page, options.connect))
    die_with_parent(options.parent, channel.fileno())
    try:
        config = ScoringConfig.from_json(channel.next().body)
        script = start_script(channel, config)
        if script is None:
            return FAILED_EXIT
        if options.template:
            from inference_server.scoring.template import Template, why_not_fork

            refused = why_not_fork()
            if refused is not None:
                say(
                    channel,
                    wire.FAILED,
                    {"summary": "WORKER_PRELOAD is not possible: " + refused, "detail": ""},
                )
                return FAILED_EXIT
            return Template(channel, config, script).serve()
        serve(channel, config, script)
    except FrontGone:
        pass
    return 0


def _open(
    fd: Optional[int], page: Optional[int], port: Optional[int]
) -> Tuple[socket.socket, Optional[mmap.mmap]]:
    token = os.environ.pop(wire.TOKEN_VARIABLE, "")
    if port is not None:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(token.encode())
        return sock, None
    sock = socket.socket(fileno=fd)
    sock.setblocking(True)
    os.set_inheritable(sock.fileno(), False)
    if page is None:
        return sock, None
    shared = mmap.mmap(page, wire.PAGE_BYTES)
    os.close(page)
    return sock, shared


def start_script(channel: Channel, config: ScoringConfig) -> Optional[Script]:
    """Load the script and run init(). None when either failed: the front has been told why."""
    global _channel
    _channel = channel
    if config.threads > 1 and config.max_batch_size > 1:
        summary = "Batching needs run() on one thread: set either the threads or max_batch_size to 1"
        say(channel, wire.FAILED, {"summary": summary, "detail": ""})
        return None
    try:
        logs.setup(config, _forward if config.app_insights_enabled else None)
    except (logconfig.LoggingConfigError, ValueError) as error:
        say(channel, wire.FAILED, {"summary": str(error), "detail": ""})
        return None
    print("Initializing logger")
    logs.hook_print()
    logger.info("Starting up app insights client")
    try:
        if config.debug_port:
            say(channel, wire.STATE, {"state": "loading", "doing": "waits for the debugger"})
            debugger.connect(config.debug_port)
        if config.debug:
            port = debugger.listen()
            doing = "waits for an editor to attach" if config.debug_wait else "score.py is being imported"
            say(channel, wire.STATE, {"state": "loading", "doing": doing, "debugger": port})
            debugger.wait(config.debug_wait)
        say(channel, wire.STATE, {"state": "loading", "doing": "score.py is being imported"})
        script = load(config)
        say(channel, wire.STATE, {"state": "loading", "doing": "init() is running"})
        script.init()
    except errors.UserScriptError as error:
        if config.app_insights_enabled:
            send_entry(channel, 0, records.of_exception(error.__cause__ or error))
        failure = {"summary": error.summary, "detail": error.detail, "files": imported(config)}
        say(channel, wire.FAILED, failure)
        return None
    return script


def _forward(entry: Dict[str, Any]) -> None:
    """A log record on its way to the front's exporters, with the request it was written for."""
    if _channel is not None:
        send_entry(_channel, _channel.cells[wire.MARK], entry)


def serve(channel: Channel, config: ScoringConfig, script: Script) -> None:
    """Say ready and serve. Raises FrontGone."""
    global _channel
    _channel = channel
    if config.threads > 1:
        from inference_server.scoring.threaded import ThreadedWorker

        worker = ThreadedWorker(channel, config, script)  # type: Worker
        body = describe(script, config)
    elif config.max_batch_size > 1 and config.batching != "off":
        from inference_server.scoring.batch_start import batch_worker

        worker, body = batch_worker(channel, config, script)
    else:
        worker = Worker(channel, config, script)
        body = describe(script, config)
    logger.info("Worker with pid %d ready for serving traffic", os.getpid())
    channel.put(record(wire.READY, body=len(body)), b"", body)
    channel.flush()
    if config.reload:
        tell_imports(channel, config)
    worker.serve()
