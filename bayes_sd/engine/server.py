"""Starts llama.cpp's server on loopback in a process of its own, and stops it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from bayes_sd.errors import TargetError

HOST = "127.0.0.1"
START_S = 90.0
POLL_S = 0.1


@dataclass(frozen=True)
class ServerSettings:
    """How the server runs.

    Attributes
    ----------
    model, drafter : str
        GGUF files; no drafter: no speculation.
    draft_length : int
        k, tokens drafted per cycle; 0 without a drafter.
    slots : int
        Requests that run at once.
    context : int
        Tokens of context of each.
    threads : int
        Compute threads. One on a shared machine: more wait for each other at barriers.
    """

    model: str
    drafter: str = ""
    draft_length: int = 0
    slots: int = 8
    context: int = 384
    threads: int = 1


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes
    ----------
    url : str
        Its address, ``http://127.0.0.1:PORT``.
    process : Popen
        Its process.
    """

    url: str
    process: subprocess.Popen[bytes]


def available() -> bool:
    """Say whether the engine group is installed (it is not on every platform)."""
    return find_spec("xllamacpp") is not None and find_spec("gguf") is not None


def engine_name() -> str:
    """Name engine and release as in a table's `engine` column; "llamacpp" where it is not installed."""
    try:
        return f"llamacpp-{version('xllamacpp')}"
    except PackageNotFoundError:
        return "llamacpp"


@contextmanager
def serve(settings: ServerSettings, log: str | Path = os.devnull) -> Iterator[Server]:
    """Serve a model for as long as the context lasts.

    Parameters
    ----------
    settings : ServerSettings
        What to serve.
    log : path-like
        Where the server's own output goes.

    Yields
    ------
    Server
        Ready to answer.

    Raises
    ------
    TargetError
        If it does not come up.
    """
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bayes_sd.engine.server", str(port), json.dumps(asdict(settings))]
    with open(log, "ab") as output:
        # It ends when its standard input closes: no server outlives a parent that was killed.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output)
    try:
        _wait(port, process, log)
        yield Server(f"http://{HOST}:{port}", process)
    finally:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()


def _wait(port: int, process: subprocess.Popen[bytes], log: str | Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise TargetError(f"llama.cpp's server ended with code {process.returncode}: see {log}")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(POLL_S)
    raise TargetError(f"llama.cpp's server was not ready within {START_S:g} s: see {log}")


def _run(port: int, settings: ServerSettings) -> None:
    import xllamacpp as llama

    params = llama.CommonParams()
    params.model.path = settings.model
    params.hostnames, params.port = [HOST], port
    params.n_parallel, params.n_ctx = settings.slots, settings.context * settings.slots
    params.cont_batching, params.endpoint_metrics = True, True
    params.cache_prompt, params.cache_ram_mib = False, 0  # each request does its own prefill
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads
    params.sampling.temp = 0.0
    if settings.drafter:
        kind = llama.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE
        params.speculative.types = [kind]
        draft = params.speculative.draft
        draft.mparams.path = settings.drafter
        draft.n_max, draft.n_min, draft.p_min = settings.draft_length, 0, 0.0
        draft.cpuparams.n_threads = draft.cpuparams_batch.n_threads = settings.threads
    server = llama.Server(params)  # noqa: F841 it serves for as long as it is referred to
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    _run(int(sys.argv[1]), ServerSettings(**json.loads(sys.argv[2])))
