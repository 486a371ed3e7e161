"""Servers that answer nonsense, never end, or repeat what they should not: one line, and no secret in it."""

import json
import socketserver
import threading

import pytest

from bayes_sd.errors import BayesSdError
from bayes_sd.measure import Length, Plan, Shape, Sweep, measure

KEY = "sk-live-0123456789abcdef"
ABOUT = {
    "hardware": "H100",
    "tp": 1,
    "engine": "fake-1",
    "verifier": "Llama-3.1-8B-Instruct",
    "precision": "bf16",
    "method": "none",
}


class Hostile(socketserver.ThreadingTCPServer):
    """Answers every request with the same bytes; `repeat` of them without end."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self, answer, repeat=b""):
        self.answer, self.repeat = answer, repeat
        super().__init__(("127.0.0.1", 0), _Handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()


class _Handler(socketserver.BaseRequestHandler):
    def handle(self):
        head = b""
        while b"\r\n\r\n" not in head:
            block = self.request.recv(65536)
            if not block:
                return
            head += block
        answer = self.server.answer
        try:
            self.request.sendall(answer(head) if callable(answer) else answer)
            for _ in range(4096 if self.server.repeat else 0):
                self.request.sendall(self.server.repeat)
        except OSError:
            pass


def http(body, status="200 OK", more="Content-Type: text/event-stream\r\n"):
    return f"HTTP/1.1 {status}\r\nConnection: close\r\n{more}\r\n".encode() + body


def event(value):
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


def done(**more):
    return event({"choices": [{"text": " x"}]}) + event(
        {"choices": [{"text": "", "finish_reason": "length"}], **more}
    )


def refused(answer, tmp_path, repeat=b"", user=""):
    server = Hostile(answer, repeat)
    plan = Plan(shapes=(Shape(8, 4),), clients=(1,), rates=(), shares=(), repeats=1)
    sweep = Sweep(
        target=f"http://{user}127.0.0.1:{server.server_address[1]}",
        about=ABOUT,
        plan=plan,
        length=Length(0.5, 1, 1, 2, 5.0),
        timeout_s=5.0,
        api_key="" if user else KEY,
    )
    try:
        with pytest.raises(BayesSdError) as caught:
            measure(sweep, tmp_path / "out.csv")
    finally:
        server.shutdown()
        server.server_close()
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < 900
    assert KEY not in message
    assert not (tmp_path / "out.csv").exists()
    return message


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"\x00" * 100, b"HTTP/1.1 banana\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n", http(b""), http(b"data: [DONE]\n\n"),
        http(b"data: [DONE]\n\n", more="X: " + "y" * 100_000 + "\r\n"), http(event(b"[" * 100_000)), http(event(b'{"a":' * 100_000)),
        http(event(b'{"usage": {"prompt_tokens": ' + b"9" * 10_000 + b"}}")), http(event([1, 2])), http(event(None)),
        http(done(usage={"prompt_tokens": 1e300, "completion_tokens": 4})), http(done(usage={"completion_tokens": -5})),
        http(event(b'{"usage": {"prompt_tokens": 1e400}}')), http(event(b'{"usage": {"completion_tokens": NaN}}')),
        http(event({"choices": "none"})), http(event({"choices": [[]]})), http(event({"error": {"deep": [[[[1]]]]}})),
        http(b"\xff\xfe\x00data"), http(b"<html>no</html>", "404 Not Found", "Content-Type: text/html; charset=nonsense\r\n"),
        http(b"\x1f\x8bnot gzip", more="Content-Encoding: gzip\r\n"), http(b"x", "302 Found", "Location: http://127.0.0.1:1/\r\n"),
        http(b"5\r\nabc", more="Transfer-Encoding: chunked\r\n"), http(b"", more="Content-Length: -1\r\n"),
        http(b"\x1b[2J\x07\x9b31mred\r\n", "500 \x1b[31mInternal"),
    ],
)  # fmt: skip
def test_nonsense(tmp_path, answer):
    refused(answer, tmp_path)


@pytest.mark.parametrize("block", [b"x" * 65536, b": comment\n" * 6000, b'data: {"choices": []}\n\n' * 3000])
def test_answers_without_an_end(tmp_path, block):
    refused(http(b""), tmp_path, repeat=block)


@pytest.mark.parametrize("status", ["401 Unauthorized", "500 No"])
@pytest.mark.parametrize("form", ["{}", "%s", '{"headers": "%s"}', "denied: %s"])
def test_a_server_that_repeats_the_headers(tmp_path, status, form):
    refused(lambda head: http(form.replace("%s", head.decode()).encode(), status), tmp_path)


def test_a_key_that_is_cut_by_the_length_of_a_message(tmp_path):
    for pad in range(90, 125, 3):
        message = refused(http(b"x" * pad + b" " + KEY.encode(), "401 No"), tmp_path)
        assert KEY[:12] not in message


def test_a_password_in_the_address(tmp_path):
    message = refused(lambda head: http(head, "401 No"), tmp_path, user="alice:opensesame@")
    assert "opensesame" not in message
    assert "YWxpY2U6b3BlbnNlc2FtZQ" not in message
