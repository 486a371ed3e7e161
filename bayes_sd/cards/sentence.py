"""A condition said in one line, as ``Qwen3-30B-A3B fp8 on 2xH100 sglang eagle3 k=3 at 8 req/s, 1k in 256 out``.

Every word is either understood or refused: nothing is guessed. What stays open is left out of the columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import get_args

from bayes_sd.cards.base import Method
from bayes_sd.cards.canonical import read_format, split_count, split_format
from bayes_sd.cards.choices import read_method
from bayes_sd.cards.engine_names import AROUND, DP_WITHIN_TP, ENGINES, read_engine
from bayes_sd.cards.load import OWN_LAYERS, Cards
from bayes_sd.cards.names import suggest
from bayes_sd.cards.nearest import suggest_verifier
from bayes_sd.cards.sentence_words import Columns, take
from bayes_sd.errors import CardError

FILLERS = frozenset(
    re.findall(
        r"\S+",
        "on at with using and a an the for in served by of to is are per from node gpus gpu tokens via under serving serve "
        "running run what how fast latency speed speedup does do will would i we get be please draft drafter speculator speculative "
        "speculation decoding decode spec method model config --speculative-config --speculative_config --model inference load "
        "traffic server requests request dataset benchmark rate worth it should use faster than help helps "
        "avg average mean standalone lookup w/ --trust-remote-code --enable-dp-attention --speculative-algo --speculative-algorithm "
        "--speculative-draft-model-path @ | - + = :",
    )
)
"""Words that change nothing."""
DRAFTING = frozenset(("speculative", "speculation", "decoding", "decode", "spec", "draft", "drafter", "("))
"""Words between a method and its draft length: "ngram speculation (5 tokens)"."""
NUMBERS = {"one": 1, "single": 1, "two": 2, "four": 4, "eight": 8, "sixteen": 16}
DATASETS = {
    name.replace("-", ""): name
    for name in (
        "mt-bench",
        "humaneval",
        "gsm8k",
        "sharegpt",
        "mbpp",
        "alpaca",
        "spec-bench",
        "livecodebench",
        "math500",
        "aime",
        "random",
    )
}
"""Prompts known by name, by that name without dashes."""
LONGEST = 7
"""Words that one name may have: "NVIDIA RTX PRO 6000 Blackwell Server Edition"."""
ROUND = "|".join(AROUND)
BUILDS = "ascend|tpu|rocm|cuda|gaudi|cpu|openai"
"""For which devices an engine was built; its GPU says as much."""
RELEASE = r"[-:= ]+b\d{3,5}|[-:= (]*v?\d[\w.+-]*\)?|[-: ](?:nightly|latest|main)"
"""What stands behind an engine's name: its version, or that it was the newest of a day that is not said."""
LONGEST_SENTENCE = 5000
"""Characters: a launch command has some hundred."""
SAME_SIZE = 0.06
"""How far a size may be rounded in a name."""
MOST_DRAFTED = 64
"""A bare number behind a method is its draft length up to here."""


def read_sentence(text: str, cards: Cards) -> Columns:
    """Read a condition from one line.

    Parameters
    ----------
    text : str
        In any order: verifier, format, hardware with a number of GPUs before it, engine, method, drafter, ``k=3``,
        ``tp=2``, a load (``8 req/s``, ``16 clients``), lengths (``1k in 256 out``, ``1k/256``), ``acceptance 0.7`` or ``E=2.4``,
        ``workload chat``, ``poisson``. The second model named is the drafter.
    cards : Cards

    Returns
    -------
    dict
        Columns of the condition that were said.

    Raises
    ------
    CardError
        Naming a word that means nothing, or a column that is said twice.
    """
    if len(text) > LONGEST_SENTENCE:
        raise CardError(
            f"a question of {len(text):,} characters: {LONGEST_SENTENCE:,} are the most; say what is asked"
        )
    found: Columns = {}
    # Launch commands and JSON: their quotes and brackets say nothing.
    plain = re.sub(r"\(?\b(\d+) ?(g)i?b\b\)?", r"\1\2B", re.sub(r"[{}\"'`]", " ", text), flags=re.I)
    left = take(plain, lambda said: _put(found, said, text))
    for run in re.split(r"[,;]|\s\|\s", re.sub(r"\(\s*,?\s*\)", " , ", left)):
        _names(run.split(), found, text, cards)
    if found.get("load_value") != found.get("load_value"):
        raise CardError(f"{text!r}: concurrency has no number: write '16 clients'")
    _settle(found, text, cards)
    return found


def restate(columns: Columns) -> str:
    """Write what was understood, so that a person can check it: ``verifier=..., hardware=..., ...``."""
    return ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in columns.items()
    )


def _put(found: Columns, said: Columns, text: str) -> None:
    for name, value in said.items():
        if name in found and found[name] != value:
            raise CardError(f"{text!r} says {name} twice: {found[name]} and {value}")
        found[name] = value


def _names(words: list[str], found: Columns, text: str, cards: Cards) -> None:
    """Read the names in a run of words: at each place the longest that means something."""
    at, before = 0, ""
    while at < len(words):
        for length in range(min(LONGEST, len(words) - at), 0, -1):
            said = _meaning(" ".join(words[at : at + length]), found, cards)
            if said is not None:
                if _same_format(said, found, cards):
                    said = {}
                _put(found, said, text)
                before, at = ("method" if "method" in said else ""), at + length
                break
        else:
            _word(words, at, before, found, text, cards)
            before, at = (before if words[at].casefold() in DRAFTING else ""), at + 1


def _same_format(said: Columns, found: Columns, cards: Cards) -> bool:
    """Say whether a format is named a second time, in another word: ``AWQ 4bit``."""
    if set(said) != {"precision"} or "precision" not in found:
        return False
    first, again = (cards.precision(str(name["precision"])) for name in (found, said))
    return first == again


def _word(words: Sequence[str], at: int, before: str, found: Columns, text: str, cards: Cards) -> None:
    """Read a word that is no name by itself: a filler, a draft length behind its method, or a name in punctuation."""
    word = words[at]
    if word.casefold() in FILLERS:
        return
    if before == "method" and re.fullmatch(r"\(?\d{1,2}", word) and 0 < int(word.lstrip("(")) <= MOST_DRAFTED:
        _put(found, {"k": float(word.lstrip("("))}, text)
        return
    if _size_again(word, found, cards):
        return
    bare = re.sub(
        r"^[(\[-]+|[)\]?!.:-]+$",
        "",
        re.sub(
            r"^(?:method|(?:speculative|draft)?[_-]?model|drafter|gpu|engine|hardware)[=:]",
            "",
            word,
            flags=re.I,
        ),
    )
    if bare and bare != word:
        _names([bare], found, text, cards)
        return
    if re.fullmatch(r"[()\[\]?!.:;/&+|=@-]+", word):
        return
    parts = word.split("-")  # keys of benchmark configurations: "dsr1-fp8-b200-sglang-mtp"
    if len(parts) > 1 and all(part and _meaning(part, {}, cards) is not None for part in parts):
        _names(parts, found, text, cards)
        return
    if cards.has("verifier", word):
        raise CardError(
            f"{text!r}: {word!r} is a second model, and no drafter is known by that name: keep one verifier"
        )
    raise CardError(
        f"{text!r}: {word!r} is not understood: it names no verifier, drafter, GPU, engine, method or format "
        f"that is known, nor does a word beside it say what it is{_near(word, cards)} (`cards` lists names)"
    )


def _size_again(word: str, found: Columns, cards: Cards) -> bool:
    """Say whether a word is the size of the verifier that was named before it: ``Command-A 111B``."""
    sized = re.fullmatch(r"(\d+(?:\.\d+)?)b", word, re.I)
    card = cards.by_section["verifier"].get(str(found.get("verifier"))) or (
        cards.model("verifier", str(found["verifier"])) if sized and "verifier" in found else None
    )
    return sized is not None and card is not None and abs(float(sized[1]) / card.params_b - 1) < SAME_SIZE


def _near(word: str, cards: Cards) -> str:
    """Offer the nearest names, where there are near ones."""
    if not re.search(r"[a-z]", word, re.I) or len(word) < 3:
        return ""
    sized = re.search(r"\d+(?:\.\d+)?b\b", word, re.I) is not None
    near = (
        suggest_verifier(word, cards.by_section["verifier"])
        if sized
        else suggest(word, cards.names("hardware"))
    )
    return f": {near}" if near.startswith("did you mean") else ""


def _meaning(name: str, found: Columns, cards: Cards) -> Columns | None:
    drafting = _drafting(name)
    if drafting is not None:
        return drafting
    model = _model(name, found, cards)
    if model is not None:
        return model
    gpu = _gpu(name, cards)
    if gpu is not None:
        return gpu
    image = " " not in name and ":" in name and any(re.search(pattern, name, re.I) for pattern in ENGINES)
    if image or any(
        re.fullmatch(rf"(?:(?:{ROUND})-)?(?:{pattern})(?:-(?:{BUILDS}))?(?:{RELEASE})?", name, re.I)
        for pattern in ENGINES
    ):
        return {"engine": read_engine(name).label}
    dataset = DATASETS.get(re.sub(r"[\s_-]", "", name.casefold()))
    if dataset is not None:
        return {"workload": dataset}
    if " " not in name and _is(cards.precision, name):
        return {"precision": name}
    # A format in several words, "AWQ 4bit", or as it ends the names of models, "UD-Q4_K_XL".
    weights = read_format(name)
    return {"precision": weights} if weights and _is(cards.precision, weights) else None


def _model(name: str, found: Columns, cards: Cards) -> Columns | None:
    """Read a verifier, or after one a drafter; ``70b llama 3.3`` is ``llama 3.3 70b``."""
    if " " in name and "/" in name:  # what stands before an organisation is another word
        return None
    last = name.rsplit(" ", 1)[-1]
    if last != name and last.isdecimal() and cards.has("hardware", last):  # "Qwen3-8B 3090": a GPU, no date
        return None
    name = re.sub(r"^(\d+(?:\.\d+)?b) (.+)", r"\2 \1", name, flags=re.I)
    if cards.has("verifier", name) and "verifier" not in found:
        base, weights = split_format(name)
        return {"verifier": base} | ({"precision": weights} if weights else {})
    if cards.has("drafter", name):
        return {"drafter": name} | ({} if "method" in found else {"method": cards.drafter(name).method})
    return None


def _drafting(name: str) -> Columns | None:
    """Read a method, with its draft length where that is written to it: ``mtp3``, ``mtp-3``, ``ngram=4``."""
    plain = re.sub(r"[\s-]+", "_", name.casefold())
    meant = {"eagle_3": "eagle3", "n_gram": "ngram"}.get(plain, plain)
    # A lone word for "none", or for a draft model, is not enough of a line.
    own = r"native_(mtp|nextn)|prompt_lookup(_decoding)?|suffix_decoding"
    own += "" if re.search(r" |-.*-", name) else r"|\w*(mtp|nextn)"
    meant = read_method(plain) if re.fullmatch(own, plain) else meant
    if meant in get_args(Method):
        return {"method": meant}
    tied = re.fullmatch(r"(mtp|nextn|ngram|eagle_?3|medusa|dflash|dspark|suffix)[_=:x]*(\d{1,2})", plain)
    if tied is None or " " in name:
        return None
    method = {"nextn": "mtp", "eagle_3": "eagle3"}.get(tied[1], tied[1])
    return {"method": method, "k": float(tied[2])}


def _gpu(name: str, cards: Cards) -> Columns | None:
    """Read a GPU and how many: ``8xH100``, ``H100 x8``, ``b200x8``, ``4 h100s``, ``one H100``."""
    first, _, rest = name.partition(" ")
    gpu, many = split_count(name)
    digits = re.fullmatch(r"x?(\d{1,4})", first, re.I)
    number = NUMBERS.get(first.casefold(), int(digits[1]) if digits else 0)
    if many is None and rest and number and re.match(r"[a-z]", rest, re.I):
        gpu, many = rest, number
    if re.fullmatch(r"gpus?", gpu, re.I) and many:
        return {"n_gpu": float(many)}
    for spelled in dict.fromkeys((gpu, re.sub(r"s$", "", gpu, flags=re.I))):
        # Looked up first: most words name no GPU, and finding the nearest names for an error takes long.
        if cards.has("hardware", spelled) or ("(" in spelled and _is(cards.hardware, spelled)):
            return {"hardware": spelled} | ({"n_gpu": float(many)} if many else {})
    return None


def _settle(found: Columns, text: str, cards: Cards) -> None:
    """Put together what several words said: the layout, the formats, whose drafter it is."""
    gpus, nodes = found.pop("n_gpu", None), found.pop("nodes", 1.0)
    if nodes > 1 and gpus is not None and found.get("tp") != gpus:
        raise CardError(f"{text!r} says {nodes:g} nodes: say tp, or with how many GPUs in all")
    sizes = {name: found[name] for name in ("tp", "dp", "pp") if name in found}
    if gpus is not None:
        ways = sizes.get("dp", 1.0) * sizes.get("pp", 1.0)
        if "tp" not in sizes:
            within = read_engine(found.get("engine")).family in DP_WITHIN_TP and "dp" in sizes
            tp = gpus / (sizes.get("pp", 1.0) if within else ways)
            if tp % 1 or tp < 1:
                raise CardError(f"{text!r} says {gpus:g} GPUs, which {ways:g} ways do not divide: state tp")
            found["tp"] = tp
        elif gpus not in (sizes["tp"] * ways, sizes["tp"] * sizes.get("pp", 1.0)):
            raise CardError(
                f"{text!r} says tp twice: {gpus:g} GPUs and tp={sizes['tp']:g}: state dp for replicas"
            )
    cache = found.pop("kv", None)
    if found.get("k") == 0:
        _put(found, {"method": "none"}, text)
    eager = found.pop("eager", False)
    if cache is not None or eager:
        weights = str(found.get("precision") or "").removeprefix("w:") or cards.stated_or_native(
            None, str(found.get("verifier", ""))
        )
        found["precision"] = (f"w:{weights} kv:{cache}" if cache else weights) + (" eager" if eager else "")
        cards.precision(found["precision"])
    drafter = found.get("drafter")
    if drafter is not None and "verifier" not in found and str(drafter).casefold() not in OWN_LAYERS:
        whom = cards.drafter(drafter).verifiers
        if len(whom) == 1:
            found["verifier"] = whom[0]


def _is(lookup: Callable[[str], object], name: str) -> bool:
    try:
        lookup(name)
    except CardError:
        return False
    return True
