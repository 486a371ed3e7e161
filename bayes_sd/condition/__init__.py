"""A condition to ask about: from what was stated, a row of a file, a DataFrame, or the posterior's own rows."""

from bayes_sd.condition.frame import as_conditions
from bayes_sd.condition.question import Question, base_condition, compared_drafters
from bayes_sd.condition.stated import conditions

__all__ = ["Question", "as_conditions", "base_condition", "compared_drafters", "conditions"]
