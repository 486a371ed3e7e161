"""The terms of the model, one a file, in the order in which they contribute, and in which coordinates become unknowns."""

from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import Coords, Term
from bayes_sd.model.terms.acceptance import Acceptance
from bayes_sd.model.terms.admission import Admission
from bayes_sd.model.terms.cache import Cache
from bayes_sd.model.terms.cycle import Cycle
from bayes_sd.model.terms.drafting import Drafting
from bayes_sd.model.terms.error import Error
from bayes_sd.model.terms.experts import Experts
from bayes_sd.model.terms.further import Further
from bayes_sd.model.terms.idle import Idle
from bayes_sd.model.terms.kernel import Kernel
from bayes_sd.model.terms.misfit import Misfit
from bayes_sd.model.terms.overlap import Overlap
from bayes_sd.model.terms.prompts import Prompts
from bayes_sd.model.terms.stages import Stages

TERMS: tuple[Term, ...] = (
    Stages(),
    Prompts(),
    Misfit(),
    Acceptance(),
    Cycle(),
    Idle(),
    Drafting(),
    Further(),
    Cache(),
    Admission(),
    Experts(),
    Kernel(),
    Overlap(),
    Error(),
)

__all__ = ["TERMS", "active_terms"]


def active_terms(spec: ModelSpec, coords: Coords) -> list[Term]:
    """List the terms that a spec has and that have something to say of the levels at hand."""
    return [term for term in TERMS if spec.has(term.name) and term.active(spec, coords)]
