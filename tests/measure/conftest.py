"""A server with known latencies inside the test process, and an event loop whose time is virtual."""

import asyncio
import json
import selectors
import threading

import pytest


class VirtualSelector(selectors.DefaultSelector):
    """Advances the loop's time instead of waiting."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._virtual = VirtualSelector()
        super().__init__(self._virtual)
        self._clock_resolution = 1e-12

    def time(self):
        return self._virtual.now


@pytest.fixture
def virtual():
    """Run a coroutine in virtual time: hours take milliseconds, and nothing depends on the machine."""

    def run(coroutine):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(coroutine)

    return run


class FakeServer:
    """Streams completions in real time: a piece each `step_s`, after `first_s`.

    What it does wrong is set by attributes, from request number `after` on.
    """

    def __init__(self):
        self.first_s, self.step_s = 0.004, 0.001
        self.accepted_of = None  # (accepted, drafted) per request, as llama.cpp reports it
        self.metrics = None  # callable: requests served -> text of /metrics
        self.usage = True
        self.after, self.fault = 0, ""
        self.requests = 0
        self.bodies = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        self._ready.wait(10)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def _main(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._open = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        self._shut()

    def _shut(self):
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    def close(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)

    async def _serve(self, reader, writer):
        self._open.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if head.startswith("GET /metrics"):
                found = self.metrics is not None
                text = self.metrics(self.requests) if found else ""
                self._head(writer, 200 if found else 404, "text/plain")
                writer.write(text.encode())
                return
            length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            await self._complete(writer, body)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    @staticmethod
    def _head(writer, status, kind):
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode())

    async def _complete(self, writer, body):
        self.requests += 1
        self.bodies.append(body)
        fault = self.fault if self.requests > self.after else ""
        if fault == "dies":
            self._stop.set()
            await asyncio.sleep(60)
        if fault == "hangs":
            await asyncio.sleep(600)
        if fault == "status":
            self._head(writer, 503, "text/plain")
            writer.write(b"the queue is full")
            return
        self._head(writer, 200, "text/event-stream")
        if fault == "page":
            writer.write(b"<html>\n<body>Welcome</body></html>\n")
            return
        if fault == "broken":
            writer.write(b'data: {"choices": [{"te\n\n')
            return
        if fault == "error":
            writer.write(b'data: {"error": {"message": "context too long"}}\n\n')
            return
        await asyncio.sleep(self.first_s)
        for number in range(body["max_tokens"]):
            if number:
                await asyncio.sleep(self.step_s)
            self._event(writer, {"choices": [{"text": " x", "index": 0}]})
            await writer.drain()
            if fault == "stops":
                writer.transport.abort()
                return
        self._event(writer, self._last(body))
        writer.write(b"data: [DONE]\n\n")

    def _last(self, body):
        last = {"choices": [{"text": "", "index": 0, "finish_reason": "length"}]}
        if self.usage:
            prompt = body["prompt"]
            size = len(prompt) if isinstance(prompt, list) else 2 * len(prompt.split())
            last["usage"] = {"prompt_tokens": size, "completion_tokens": body["max_tokens"]}
        if self.accepted_of:
            accepted, drafted = self.accepted_of
            last["timings"] = {"draft_n": drafted, "draft_n_accepted": accepted}
        return last

    @staticmethod
    def _event(writer, event):
        writer.write(b"data: " + json.dumps(event).encode() + b"\n\n")


@pytest.fixture
def server():
    fake = FakeServer()
    yield fake
    fake.close()


ABOUT = {
    "hardware": "H100",
    "tp": 1,
    "engine": "fake-1",
    "verifier": "Llama-3.1-8B-Instruct",
    "precision": "bf16",
    "method": "none",
}
DRAFTED = ABOUT | {"method": "eagle3", "drafter": "EAGLE3-Llama-3.1-8B", "k": 4}


@pytest.fixture
def about():
    return dict(ABOUT)


@pytest.fixture
def drafted():
    return dict(DRAFTED)
