"""Asks a server for its metrics again and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from bayes_sd.errors import DataError, TargetError, shown
from bayes_sd.measure.client import checked_target, open_session
from bayes_sd.measurements.readers.server_metrics import Scrape, scrape_of

MOST_BYTES = 16 << 20
PATIENCE_S = 10.0
"""Longest wait for an answer."""


def is_address(text: str) -> bool:
    """Tell whether a text is an address of a server and no file's name."""
    return text.startswith(("http://", "https://"))


def metrics_address(address: str) -> str:
    """Check an address; ``/metrics`` is added where it names a server only.

    Raises
    ------
    TargetError
        If it is none.
    """
    target = checked_target(address)
    return target if target.endswith("/metrics") else f"{target}/metrics"


def poll(address: str, interval_s: float) -> Iterator[tuple[float, Scrape | str]]:
    """Scrape a server at equal intervals, for as long as it is asked.

    Parameters
    ----------
    address : str
        From :func:`metrics_address`.
    interval_s : float

    Yields
    ------
    time_s : float
        On a clock that is never set back.
    scrape : Scrape or str
        Or why there is none this time.

    Raises
    ------
    DataError, TargetError
        If the very first attempt gives none.
    """
    due, first = time.monotonic(), True
    while True:
        now = time.monotonic()
        try:
            found: Scrape | str = scrape_of(fetch(address).splitlines(), address)
        except (DataError, TargetError) as error:
            if first:
                raise
            found = str(error)
        first = False
        yield now, found
        due = max(due + interval_s, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0.0))


def fetch(address: str) -> str:
    """Fetch a text.

    Parameters
    ----------
    address : str

    Returns
    -------
    str

    Raises
    ------
    TargetError
        If the server does not answer in time, or with anything but a text of reasonable size.
    """
    return asyncio.run(_fetch(address))


async def _fetch(address: str) -> str:
    import aiohttp

    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            open_session() as session,
            session.get(address, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise TargetError(
                    f"{address}: answers {answer.status}; give where the server has its metrics"
                )
            found = bytearray()
            async for block in answer.content.iter_any():
                found += block
                if len(found) > MOST_BYTES:
                    raise TargetError(
                        f"{address}: more than {MOST_BYTES >> 20} MiB; is it a server's metrics?"
                    )
            return found.decode("utf-8")
    except TimeoutError as error:
        raise TargetError(f"{address}: no answer within {PATIENCE_S:g} s; does the server run?") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise TargetError(f"{address}: cannot be read: {shown(str(error))}; does the server run?") from error
