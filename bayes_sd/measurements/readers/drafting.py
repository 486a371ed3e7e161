"""What the settings of a server say of drafting, in the words of the table."""

from __future__ import annotations

from collections.abc import Mapping

from bayes_sd.cards.canonical import without_owner

NEXT_TOKENS = ("-nextn", "-mtp")
"""How checkpoints are called that hold nothing but a model's own layers for further tokens."""
NAMED = ("eagle3", "eagle-3", "eagle")
"""Words in a drafter's name by which vLLM tells the method where it is not stated; the first that fits counts."""


def is_own_head(drafter: str, verifier: str) -> bool:
    """Tell whether a model drafts with its own layers for further tokens (MTP).

    Parameters
    ----------
    drafter, verifier : str
        Names or paths, as a repository, a folder or a snapshot in Hugging Face's cache.

    Returns
    -------
    bool
        Whether both are one model, or the drafter is a checkpoint of such layers alone.
    """
    bare = _bare(drafter)
    return bare == _bare(verifier) or bare.endswith(NEXT_TOKENS)


def method_of(config: Mapping[str, object], verifier: object) -> str | None:
    """Give the method of vLLM's ``speculative_config``, as the server takes one that is not stated from the drafter.

    Parameters
    ----------
    config : mapping
        Its members.
    verifier : object
        Name of the model served.

    Returns
    -------
    str or None
        None where it is not known: a drafter whose name says nothing may be a head or a model.
    """
    stated, drafter = config.get("method"), config.get("model")
    if isinstance(stated, str) and stated.strip():
        return stated.strip()
    if not isinstance(drafter, str) or not drafter.strip():
        return None
    if drafter.strip("[] ").casefold() == "ngram":
        return "ngram"
    if isinstance(verifier, str) and is_own_head(drafter, verifier):
        return "mtp"
    named = next((word for word in NAMED if word in _bare(drafter)), None)
    return named.replace("-", "") if named else None


def _bare(name: str) -> str:
    """Give a model's name without owner, folders and spelling."""
    return without_owner(name.strip().replace("\\", "/")).casefold()
