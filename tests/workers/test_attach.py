"""The port that an editor keeps: what it is told when the debugger behind it goes, in every way it may go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from inference_server.workers.attach import Door, Doors
from tests.end_to_end.running import free_port

SECONDS = 10.0
RESTART = {"restart": True}


class Peer:
    """One end of a connection that speaks the Debug Adapter Protocol."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, **message: Any) -> None:
        body = json.dumps({"seq": 1, **message}).encode()
        self.writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def heard(self) -> dict[str, Any]:
        """The next message; {} when the other side has hung up."""
        head = await asyncio.wait_for(self.reader.readline(), SECONDS)
        if not head:
            return {}
        await self.reader.readline()
        return dict(json.loads(await self.reader.readexactly(int(head.split(b":")[1]))))


@asynccontextmanager
async def attached(**arguments: Any) -> AsyncIterator[tuple[Door, Peer, Peer, asyncio.Future[None]]]:
    """A door with an editor that has attached to a debugger; and the future that is done when its process ends."""
    came: asyncio.Queue[Peer] = asyncio.Queue()
    listener = await asyncio.start_server(lambda *pair: came.put_nowait(Peer(*pair)), "127.0.0.1", 0)
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    door = Door(1)
    port = await door.open("127.0.0.1", free_port())
    door.debugger(listener.sockets[0].getsockname()[1], ended)
    editor = Peer(*await asyncio.open_connection("127.0.0.1", port))
    editor.say(type="request", command="attach", arguments=arguments)
    debugger = await asyncio.wait_for(came.get(), SECONDS)
    assert (await debugger.heard())["command"] == "attach"
    yield door, editor, debugger, ended
    door.close()
    editor.writer.close()
    debugger.writer.close()
    listener.close()


def test_a_debugger_that_hangs_up_without_a_word() -> None:
    async def story() -> None:
        async with attached() as (door, editor, debugger, _):
            debugger.writer.close()
            assert (await editor.heard())["body"] == RESTART
            assert door.in_use
            editor.say(type="request", command="disconnect", arguments=RESTART)
            answer = await editor.heard()
            assert (answer["type"], answer["command"], answer["success"]) == ("response", "disconnect", True)

    asyncio.run(story())


def test_a_debugger_whose_process_has_ended_and_that_says_nothing() -> None:
    async def story() -> None:
        async with attached() as (_, editor, debugger, ended):
            ended.set_result(None)
            assert (await editor.heard())["body"] == RESTART
            debugger.say(type="event", event="terminated")  # too late: once is enough
            editor.say(type="request", command="disconnect")
            assert (await debugger.heard())["command"] == "disconnect"
            debugger.writer.close()
            editor.writer.write_eof()
            assert await editor.heard() == {}

    asyncio.run(story())


@pytest.mark.parametrize("why", ["the server stops", "the editor does not want to"])
def test_nobody_is_told_to_come_back(why: str) -> None:
    async def story() -> None:
        wants = {"restart": False} if why.startswith("the editor") else {}
        async with attached(**wants) as (door, editor, debugger, ended):
            if not wants:
                door.stop()
            debugger.say(type="event", event="terminated")
            ended.set_result(None)
            assert "body" not in await editor.heard()
            debugger.writer.close()
            assert await editor.heard() == {}

    asyncio.run(story())


def test_workers_have_the_free_ports_in_their_order() -> None:
    async def story() -> None:
        taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        first = taken.sockets[0].getsockname()[1]
        doors = Doors("127.0.0.1", first)
        one, two = await asyncio.gather(doors.of(1), doors.of(2))
        assert first < one.port < two.port
        doors.close()
        taken.close()

    asyncio.run(story())
