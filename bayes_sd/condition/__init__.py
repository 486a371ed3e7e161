"""A condition to ask about: from what was stated, a row of a file, or the posterior's own rows."""

from bayes_sd.condition.question import Question, base_condition, compared_drafters

__all__ = ["Question", "base_condition", "compared_drafters"]
