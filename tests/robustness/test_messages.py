"""What a message repeats of foreign text: no secret of any form, and never more work than its length is worth."""

import time

import click
import pytest

from bayes_sd import errors
from bayes_sd.cli import COMMANDS, command
from bayes_sd.cli.output import ToWrite
from bayes_sd.errors import TargetError, keep_secret, masked, rendered, shown
from bayes_sd.measure.client import checked_target

SECRET = "opensesame1"
SIZE = 100_000


@pytest.mark.parametrize(
    "text",
    [
        "http://u:{}@h/", "http://u:p@{}@h/", "https://user:pa'{}@h", "//u:{}@h", "OPENAI_API_KEY={}", "db_password: {}",
        "client_secret='{}'", '{{"Authorization": "Token {}"}}', "authorization: ApiKey {}", "Cookie: session={}; b={}",
        "set-cookie: id={}", "x-goog-api-key: {}", "HF_TOKEN={}", "aws_secret_access_key = {}", "passwd={}&x=1", "github_token:{}",
        "Proxy-Authorization: Negotiate {}", r'{{\"api_key\": \"{}\"}}', "X-Auth-Token: {}", "passphrase = {}", "refresh_token={}",
    ],
)  # fmt: skip
def test_secrets_by_their_names(text):
    for words in (shown(text.format(SECRET, SECRET)), rendered(text.format(SECRET, SECRET))):
        assert SECRET not in words
        assert errors.MASK in words


@pytest.mark.parametrize("key", ["secret", "client_secret", "token", "HF_TOKEN", "pass"])
def test_a_key_that_is_part_of_a_name_does_not_hide_the_name(key):
    keep_secret(key)
    for name in ("client_secret", "HF_TOKEN", "password"):
        words = shown(f"{name}='{SECRET}' {key}, {key}{key}")
        assert SECRET not in words and key not in words


@pytest.mark.parametrize(
    "token",
    [
        "sk-proj-abcdefghij0123456789", "hf_abcdefghijklmnopqrstuvwx", "ghp_abcdefghijklmnopqrstuvwx", "AKIAABCDEFGHIJKLMNOP",
        "xoxb-1234567890-abcdef", "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.abcdef",
    ],
)  # fmt: skip
def test_secrets_by_their_form(token):
    assert token[:12] not in shown(f"the server says {token}, and no more")


@pytest.mark.parametrize(
    "text", ["prompt_tokens=5, output_tokens: 7", "token: 5 tokens", "max_tokens=9", "keys: a, b", "column_key=tp", "a tp=1 x@y"]
)  # fmt: skip
def test_ordinary_words_stay(text):
    assert masked(text) == text


def test_a_secret_that_is_cut_off_by_the_end_of_what_was_read():
    keep_secret("sk_live_0123456789abcdef")
    for length in range(6, 24):
        assert "sk_liv" not in shown(" " * 4000 + "sk_live_0123456789abcdef"[:length])


@pytest.mark.parametrize(
    "address", ["http://u:open/{}@h:1", "http://u:{}@h:port", "ftp://{}@h", "u:{}@h:0", "http://u:{}@[::1"]
)
def test_a_password_in_an_address_that_is_none(address):
    with pytest.raises(TargetError) as caught:
        checked_target(address.format(SECRET))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "piece",
    [
        "\\", '\\"', "'\"", "/", "//a", "@", "//@", "password", "secret" + " " * 50, "authorization:", "cookie ", "bearer ",
        "api_key=",
        "sk-", "eyJaaaaaaaaaa.", "AKIA", "\x07", "\u2028", "a",
    ],
)  # fmt: skip
@pytest.mark.parametrize("start", ["", "x '", 'x "', "//"])
def test_time_for_a_long_text(piece, start):
    text = start + piece * (SIZE // len(piece))
    began = time.process_time()
    words = rendered(text)
    shown(text)
    assert time.process_time() - began < 5.0
    assert len(words) <= errors.MOST_SHOWN + 10
    assert words.isprintable()


LONG = (
    "9" * SIZE, "9" * SIZE + "x", "." * SIZE, "1." * SIZE, "gamma " + "9" * SIZE + "x", "gamma" + " " * SIZE + "x",
    "a" + " " * SIZE + "x", "1," * SIZE, "(" * SIZE, "h100 " * SIZE, "x" * SIZE, "w:" * SIZE, "_" * SIZE + "!", "p95<" + "9" * SIZE,
    "k=" + "9" * SIZE,
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(LONG)))
def test_time_for_a_long_value(number):
    """A value is read in a time that grows with its length, and not faster."""
    from bayes_sd.cards import load_cards
    from bayes_sd.cards.sentence import read_sentence
    from bayes_sd.cli.next import TIME
    from bayes_sd.decide.objective import read_objective
    from bayes_sd.measurements.cells import parse_cell
    from bayes_sd.measurements.schema import COLUMNS

    cards, text = load_cards(), LONG[number]
    columns = {(column.kind, column.name == "arrivals"): column for column in COLUMNS}.values()
    readers = [lambda t, c=column: parse_cell(t, c) for column in columns]
    readers += [read_objective, lambda t: read_sentence(t, cards), lambda t: TIME.convert(t, None, None)]
    began = time.process_time()
    for read in readers:
        with pytest.raises((errors.BayesSdError, ValueError)):
            read(text)
    assert time.process_time() - began < 10.0


READ = {
    "--conditions",
    "--models",
    "--data",
    "--candidates",
    "--safetensors-index",
    "--meta",
    "--metrics",
    "--prompts",
}
"""Options whose file is read; any other that names a file must say that it writes it."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_that_names_a_file_says_what_for(name):
    for parameter in command.get_command(None, name).params:
        if isinstance(parameter, click.Option) and isinstance(parameter.type, click.Path):
            reads = bool(READ & set(parameter.opts)) or (name, parameter.opts[0]) == ("measure", "--plan")
            assert isinstance(parameter.type, ToWrite) != reads, parameter.opts
