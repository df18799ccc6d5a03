"""A TCP connection that a test can cut, hold up or slow down.

A wire listens on a port of its own and passes everything on to another one, both ways, with small
buffers, so that who waits behind it is waited for in front of it as well.
"""

import asyncio
import contextlib
import socket
import threading

BUFFER = 64 * 1024


class Wires:
    """The thread in which all wires of a test live."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="wires", daemon=True)
        self.thread.start()
        self.all = []

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def wire(self, target=None, delay=0.0):
        made = Wire(self, target, delay)
        self.all.append(made)
        return made

    def close(self):
        for wire in self.all:
            wire.close()
        self.call(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    @staticmethod
    async def _end():
        """Whoever is still at a connection does not outlive the loop."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Wire:
    """`endpoint` leads to `target` ("tcp://host:port"; None: to nowhere yet). `delay` is in seconds,
    for each direction."""

    def __init__(self, wires, target, delay):
        self.wires, self.target, self.delay = wires, target, delay
        self.links = set()
        self.held = 0  # bytes that have come in and wait
        wires.call(self._open())

    async def _open(self):
        self.flows, self.flows_back = asyncio.Event(), asyncio.Event()
        self._flow()
        listener = socket.socket()
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            listener.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        listener.bind(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        self.server = await asyncio.start_server(self._pass, sock=listener, limit=BUFFER)

    def to(self, target):
        self.target = target

    def cut(self):
        """Ends all connections, at once and in the middle of whatever they carry; how many."""
        return self.wires.call(self._cut())

    async def _cut(self):
        links = list(self.links)
        for link in links:
            link.transport.abort()
        return len(links)

    def hold(self, back=True):
        """Nothing passes any more, and nobody is told; new connections are taken and hear nothing.
        Without `back`, what comes from the target still does."""
        for way in (self.flows, self.flows_back)[:1 + back]:
            self.wires.loop.call_soon_threadsafe(way.clear)

    def is_held(self):
        return not self.flows.is_set()

    def release(self):
        self.wires.loop.call_soon_threadsafe(self._flow)

    def _flow(self):
        self.flows.set()
        self.flows_back.set()

    def close(self):
        self.wires.call(self._close())

    async def _close(self):
        self.server.close()
        self._flow()
        await self._cut()

    async def _pass(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            self.links.add(writer)
            other = None
            try:
                await self.flows.wait()
                if self.target:
                    host, port = self.target.removeprefix("tcp://").rsplit(":", 1)
                    back, other = await asyncio.open_connection(host, int(port), limit=BUFFER)
                    self.links.add(other)
                    await self._both(reader, writer, back, other)
            finally:
                for link in (writer, other):
                    if link:
                        self.links.discard(link)
                        link.transport.abort()

    async def _both(self, reader, writer, back, other):
        for link in (writer, other):
            link.transport.set_write_buffer_limits(high=BUFFER)
        ways = [asyncio.ensure_future(self._way(*way))
                for way in ((reader, other, self.flows), (back, writer, self.flows_back))]
        _, pending = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in pending:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    async def _way(self, reader, writer, flows):
        while data := await reader.read(BUFFER):
            if self.delay:
                await asyncio.sleep(self.delay)
            self.held += len(data)
            try:
                await flows.wait()
            finally:
                self.held -= len(data)
            writer.write(data)
            await writer.drain()
