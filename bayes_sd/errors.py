"""The one family of errors that bayes_sd raises for bad input, and how foreign text is shown in them.

Each message is one line: what is wrong, where (file, row, column), and what to do about it. Text that comes from a file, a
server or an option may hold anything, so each message is rendered: secrets are masked, control characters are made
visible, and long pieces are cut.
"""

import re
from collections.abc import Iterator

MOST_QUOTED = 200
"""Characters of one piece of input that a message repeats."""
MOST_SHOWN = 1200
"""Characters of a whole message."""
_MOST_LOOKED_AT = 8 * MOST_SHOWN
"""Characters of a message, half from either end, in which long pieces are looked for: that takes the square of their number."""
MASK = "***"
_SHORTEST_SECRET = 4
_secrets: set[str] = set()

# C0 but tab, DEL, C1, line separators, and marks that turn the direction of text or hide in it.
_CONTROL = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
# A backslash is read in one way only: two ways for each would take time exponential in their number where no quote closes.
_QUOTED = re.compile(rf"(?<!\w)(['\"])((?:\\.|(?!\1)[^\\]){{{MOST_QUOTED + 1},}}?)\1(?!\w)")
_WORD = re.compile(rf"\S{{{MOST_QUOTED + 56},}}")
_CREDENTIALS = (
    (("@",), re.compile(r"(?<=//)(?P<secret>[^\s/]{1,400})@")),
    (
        ("authorization", "cookie"),
        re.compile(
            r"(?:authorization|cookie)\\?[\"']?\s*[:=]\s*\\?[\"']?(?P<secret>[^\r\n\"'\\]+)", re.IGNORECASE
        ),
    ),
    (("bearer", "basic"), re.compile(r"\b(?:Bearer|Basic)\s+(?P<secret>[^\s\"',;}]+)", re.IGNORECASE)),
    (
        ("key", "passw", "passph", "secret", "credential", "token"),
        re.compile(
            r"(?:(?:api|access|private|secret|auth|account)[_-]?keys?(?:[_-]?id)?|passw(?:or)?d|passphrase|secret|credentials?|"
            r"(?:access|auth|refresh|id|session|hf|api|bot|bearer|github|hub)[_-]?token)"
            r"\\?[\"']?\s*[:=]\s*\\?[\"']?(?P<secret>[^\s\"',;&}\\]+)",
            re.IGNORECASE,
        ),
    ),
    (
        ("sk-", "hf_", "gh", "akia", "eyj", "xox"),
        re.compile(
            r"\b(?P<secret>sk-[\w-]{16,}|hf_\w{20,}|gh[pousr]_\w{20,}|AKIA[0-9A-Z]{16}|xox[abprs]-[\w-]{10,}|"
            r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"
        ),
    ),
)
"""What looks like credentials: letters that are in all of it, which are found much faster, and a pattern."""


def keep_secret(value: str) -> None:
    """Mask a value in every message from now on.

    Parameters
    ----------
    value : str
        A key or password; one of less than four characters is left alone, since it would blot out ordinary words.
    """
    if len(value) >= _SHORTEST_SECRET:
        _secrets.add(value)


def masked(text: str) -> str:
    """Blot out secrets: those named by :func:`keep_secret`, and what looks like credentials.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    # All are found in the text as it came: a mask over one could hide the name that tells another.
    parts: list[str] = []
    end = 0
    for start, stop in sorted([*_known(text), *_likely(text)]):
        if start > end or not parts:
            parts += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


def _known(text: str) -> Iterator[tuple[int, int]]:
    for secret in _secrets:
        for found in re.finditer(re.escape(secret), text):
            yield found.span()
        # A text that was cut may end within it.
        for length in range(len(secret) - 1, _SHORTEST_SECRET, -1):
            if text.endswith(secret[:length]):
                yield len(text) - length, len(text)
                break


def _likely(text: str) -> Iterator[tuple[int, int]]:
    folded = text.casefold()
    for signs, pattern in _CREDENTIALS:
        if any(sign in folded for sign in signs):
            for found in pattern.finditer(text):
                yield found.span("secret")


def visible(text: str) -> str:
    r"""Write control characters as escapes, so that they do nothing to a terminal; a line end becomes ``\n``.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        One line.
    """
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def shown(text: str, most: int = MOST_QUOTED) -> str:
    """Prepare a piece of foreign text for a message: one line, without secrets or control characters, cut to a length.

    Parameters
    ----------
    text : str
    most : int
        Characters.

    Returns
    -------
    str
    """
    # Secrets first: one that is cut in two is no longer recognised.
    line = visible(" ".join(masked(text).split()))
    return line if len(line) <= most else line[:most] + "..."


def rendered(message: str) -> str:
    """Prepare a whole message: as :func:`shown`, with each long piece of it cut by itself.

    Parameters
    ----------
    message : str

    Returns
    -------
    str
        One line.
    """
    line = visible(masked(message))
    if len(line) > _MOST_LOOKED_AT:
        line = line[: _MOST_LOOKED_AT // 2] + line[-_MOST_LOOKED_AT // 2 :]
    line = _QUOTED.sub(lambda found: f"{found[1]}{found[2][:MOST_QUOTED]}...{found[1]}", line)
    line = _WORD.sub(lambda found: f"{found[0][: MOST_QUOTED // 2]}...{found[0][-MOST_QUOTED // 2 :]}", line)
    if len(line) > MOST_SHOWN:
        line = f"{line[: MOST_SHOWN // 2]} ... {line[-MOST_SHOWN // 2 :]}"
    return line


class BayesSdError(Exception):
    """Base of every error that a user can mend; the command line prints it and exits with 2."""

    def __str__(self) -> str:
        return rendered(super().__str__())


class DataError(BayesSdError):
    """A measurement table, benchmark file or conditions table is missing, malformed or out of range."""


class CardError(BayesSdError):
    """A family or hardware card is missing, malformed or contradicts itself."""


class ModelError(BayesSdError):
    """The observations cannot inform the model that was asked for."""


class TraceError(BayesSdError):
    """A posterior file is missing, truncated, of another format, or newer than this package."""


class ConvergenceError(TraceError):
    """A posterior did not pass its convergence gate and was not accepted explicitly."""


class ConditionError(BayesSdError):
    """A condition to predict for is impossible or names something that nothing is known about."""


class OutputError(BayesSdError):
    """A result cannot be written where it was asked for."""


class TargetError(BayesSdError):
    """A server that is to be measured refuses, does not answer, answers nonsense, or stops."""
