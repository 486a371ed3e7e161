"""The terms of the model, one a file, in the order in which they contribute."""

from bayes_sd.model.term import Term
from bayes_sd.model.terms.acceptance import Acceptance
from bayes_sd.model.terms.cache import Cache
from bayes_sd.model.terms.drafting import Drafting
from bayes_sd.model.terms.error import Error
from bayes_sd.model.terms.experts import Experts
from bayes_sd.model.terms.kernel import Kernel
from bayes_sd.model.terms.misfit import Misfit
from bayes_sd.model.terms.overlap import Overlap
from bayes_sd.model.terms.stages import Stages

TERMS: tuple[Term, ...] = (
    Stages(),
    Misfit(),
    Acceptance(),
    Drafting(),
    Cache(),
    Experts(),
    Kernel(),
    Overlap(),
    Error(),
)

__all__ = ["TERMS"]
