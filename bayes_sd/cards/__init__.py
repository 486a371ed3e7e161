"""Cards: what is known of hardware, verifiers, drafters and number formats before anything is measured."""

from bayes_sd.cards.base import Compute
from bayes_sd.cards.drafter import Drafter, Family
from bayes_sd.cards.estimate import estimate_drafter, estimate_verifier
from bayes_sd.cards.hardware import Hardware
from bayes_sd.cards.load import Cards, load_cards
from bayes_sd.cards.precision import KvFormat, Precision, WeightFormat
from bayes_sd.cards.verifier import Verifier

__all__ = [
    "Cards",
    "Compute",
    "Drafter",
    "Family",
    "Hardware",
    "KvFormat",
    "Precision",
    "Verifier",
    "WeightFormat",
    "estimate_drafter",
    "estimate_verifier",
    "load_cards",
]
