"""One request to an OpenAI-compatible server, streamed, with the times that it took.

Written for little work per token, so that the client does not take the processor from a server on the same machine.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from bayes_sd.errors import TargetError, keep_secret, shown
from bayes_sd.loading import parse_json
from bayes_sd.measurements.schema import MOST_REQUESTS

if TYPE_CHECKING:
    import aiohttp

Status = Literal["running", "done", "failed", "cut"]
PATH = "/v1/completions"
DATA = b"data:"
END = b"[DONE]"
MOST_LINE, MOST_ANSWER, MOST_TEXT = 1 << 20, 64 << 20, 16 << 20
"""Bytes of a line of a stream, of a whole answer, and of a text such as the server's metrics."""
LONGEST_TARGET = 2000
SHOWN = 120
"""Characters of a server's words that a message quotes."""


def now_s() -> float:
    """Give the time by the event loop's own clock (s): it only runs forward."""
    return asyncio.get_running_loop().time()


@dataclass
class Outcome:
    """What became of one request; times are those of :func:`now_s` (s).

    Attributes
    ----------
    start_s, first_s, last_s, end_s : float
        Sent, first and last piece of the answer, finished (or given up). NaN where it did not come to that.
    pieces : int
        Pieces that the answer came in: under speculation one may hold several tokens.
    prompt_tokens, output_tokens : int
        As the server counted them; 0 where it did not say.
    drafted, accepted : int or None
        Draft tokens of this request, where the server says it (llama.cpp's `timings`).
    status : {"running", "done", "failed", "cut"}
        "cut": still running when the measurement stopped.
    reason : str
        Why it failed.
    refused : bool
        Whether it failed because nothing listens at the address any more.
    ended : bool
        Whether the server said that the answer ends here. A connection that merely closes may have broken off.
    counted : bool
        Whether it belongs to the measurement: sent after the warm-up and before the end.
    """

    start_s: float = float("nan")
    first_s: float = float("nan")
    last_s: float = float("nan")
    end_s: float = float("nan")
    pieces: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    drafted: int | None = None
    accepted: int | None = None
    status: Status = "running"
    reason: str = ""
    refused: bool = False
    ended: bool = False
    counted: bool = False

    @property
    def latency_s(self) -> float:
        """End-to-end latency (s)."""
        return self.end_s - self.start_s


class Client:
    """A server at one address; no other address is ever contacted.

    Parameters
    ----------
    session : aiohttp.ClientSession
        From :func:`open_session`.
    target : str
        As from :func:`checked_target`.
    model : str
        Name sent with each request; "" leaves it out.
    extra : mapping
        Further members of each request's body.
    timeout_s : float
        Longest wait for one request.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        target: str,
        model: str = "",
        extra: Mapping[str, Any] | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        self.session, self.target, self.timeout_s = session, target, timeout_s
        self._fixed = {
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0,
            "ignore_eos": True,
            **({"model": model} if model else {}),
            **(extra or {}),
        }

    async def send(self, prompt: str | list[int], output_tokens: int, outcome: Outcome) -> Outcome:
        """Send a request and wait for the whole answer.

        Parameters
        ----------
        prompt : str or list of int
            Text, or tokens by number.
        output_tokens : int
            Length of the answer wanted.
        outcome : Outcome
            Filled in; also while the request runs, so that one that is cut off keeps its start.

        Returns
        -------
        Outcome
            The same. A failure of any kind is an outcome, not an exception.
        """
        import aiohttp

        body = json.dumps({**self._fixed, "prompt": prompt, "max_tokens": output_tokens}).encode()
        outcome.start_s = now_s()
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._exchange(body, outcome)
        except asyncio.CancelledError:
            outcome.status = "cut"
            raise
        except TimeoutError:
            _fail(outcome, f"no whole answer within {self.timeout_s:g} s")
        except aiohttp.ClientConnectorError as error:
            _fail(outcome, _reason(error.os_error))
            outcome.refused = True
        except aiohttp.ServerDisconnectedError:
            _fail(outcome, "the connection was closed before the answer began")
        except aiohttp.ClientPayloadError:
            _fail(outcome, "the connection broke off within the answer")
        except (
            aiohttp.ClientError,
            OSError,
            ValueError,
        ) as error:  # ValueError: an address or an encoding that is none
            _fail(outcome, _reason(error))
        except _Garbage as error:
            _fail(outcome, str(error))
        finally:
            outcome.end_s = now_s()
        return outcome

    async def _exchange(self, body: bytes, outcome: Outcome) -> None:
        headers = {"Content-Type": "application/json"}
        async with self.session.post(
            self.target + PATH, data=body, headers=headers, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                text = (await answer.content.read(4096)).decode("utf-8", "replace")
                raise _Garbage(f"status {answer.status} ({_words(text)})")
            buffer, length = b"", 0
            async for block in answer.content.iter_any():
                length += len(block)
                *lines, buffer = (buffer + block).split(b"\n")
                for line in lines:
                    _line(line.strip(), outcome)
                if len(buffer) > MOST_LINE or length > MOST_ANSWER:
                    raise _Garbage(f"an answer of more than {length >> 10:,} KiB without an end")
            _line(buffer.strip(), outcome)
        if not outcome.ended:
            raise _Garbage("the connection broke off within the answer")
        if not outcome.pieces:
            raise _Garbage("the answer holds no text")
        outcome.status = "done"

    async def text(self, path: str) -> str | None:
        """Fetch a text from the server; None where it has none or does not answer."""
        import aiohttp

        try:
            async with (
                asyncio.timeout(min(self.timeout_s, 10.0)),
                self.session.get(self.target + path, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    return None
                found = bytearray()
                async for block in answer.content.iter_any():
                    found += block
                    if len(found) > MOST_TEXT:
                        return None
                return found.decode("utf-8")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return None


class _Garbage(Exception):
    """An answer that is none; the message says what came."""


def _line(line: bytes, outcome: Outcome) -> None:
    """Take in one line of an event stream."""
    if not line.startswith(DATA):
        if line and not line.startswith((b":", b"event:", b"id:", b"retry:")):
            raise _Garbage(f"not a stream of completions ({_words(line.decode('utf-8', 'replace'))})")
        return
    content = line[len(DATA) :].strip()
    if content == END:
        outcome.ended = True
    if content == END or not content:
        return
    now = now_s()
    try:
        event = parse_json(content, "", _Garbage)
    except _Garbage as error:
        raise _Garbage(f"not JSON ({_words(content.decode('utf-8', 'replace'))})") from error
    if not isinstance(event, dict):
        raise _Garbage(f"not a completion ({_words(content.decode('utf-8', 'replace'))})")
    if "error" in event:
        raise _Garbage(f"it reports an error ({_words(json.dumps(event['error']))})")
    choices = event.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    if first.get("text"):
        outcome.pieces += 1
        outcome.last_s = now
        if outcome.pieces == 1:
            outcome.first_s = now
    outcome.ended = outcome.ended or first.get("finish_reason") is not None
    _counts(event, outcome)


def _counts(event: dict[str, Any], outcome: Outcome) -> None:
    usage, timings = event.get("usage"), event.get("timings")
    if isinstance(usage, dict):
        outcome.prompt_tokens = _whole(usage.get("prompt_tokens")) or outcome.prompt_tokens
        outcome.output_tokens = _whole(usage.get("completion_tokens")) or outcome.output_tokens
    if isinstance(timings, dict):
        outcome.output_tokens = outcome.output_tokens or _whole(timings.get("predicted_n"))
        if "draft_n" in timings:
            outcome.drafted = _whole(timings["draft_n"])
            outcome.accepted = _whole(timings.get("draft_n_accepted"))


def _whole(value: object) -> int:
    """Take a count of tokens; 0 where the server gives none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    if not 0 <= value <= MOST_REQUESTS:
        raise _Garbage(f"it counts {value:g} tokens in an answer")
    return int(value)


def _fail(outcome: Outcome, reason: str) -> None:
    outcome.status, outcome.reason = "failed", reason


def _reason(error: BaseException) -> str:
    words = (
        error.strerror
        if isinstance(error, OSError) and error.strerror
        else str(error) or type(error).__name__
    )
    return _words(words).lower()


def _words(text: str) -> str:
    """Shorten what a server said to one line, without secrets that it repeats."""
    return shown(text, SHOWN)


def checked_target(target: str) -> str:
    """Check the address of a server.

    Parameters
    ----------
    target : str
        ``http://HOST:PORT``, with or without ``/v1``.

    Returns
    -------
    str
        Without a trailing path.

    Raises
    ------
    TargetError
        If it is no such address.
    """
    # Before anything is said of it: what stands before the last @ is a secret, also where the address is none.
    before, at, _ = target.partition("//")[2].rpartition("@") if "//" in target else target.rpartition("@")
    secret = before.partition(":")[2] or before if at else ""
    keep_secret(secret)
    keep_secret(unquote(secret))
    try:
        parts = urlsplit(target if "//" in target else f"http://{target}")
        bad = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
        bad = bad or len(target) > LONGEST_TARGET or not target.isprintable() or " " in target
    except ValueError:
        bad = True
    if bad or parts.query or parts.fragment:
        raise TargetError(f"{target}: not an address of a server; write it as http://HOST:PORT")
    path = parts.path.rstrip("/").removesuffix("/v1")
    return f"{parts.scheme}://{parts.netloc}{path}"


def open_session(api_key: str = "") -> aiohttp.ClientSession:
    """Open the connections to a server: a fresh one for each request, no proxies, as many as needed.

    llama.cpp's server closes a connection after a streamed answer without saying so beforehand, and a client that would
    use it again fails now and then; a connection costs far less than a request.
    """
    import aiohttp

    if api_key and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        raise TargetError(
            "the key is not one: it may have letters, digits and signs, and no blanks; set it again"
        )
    keep_secret(api_key)
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    return aiohttp.ClientSession(
        connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=None), trust_env=False
    )
