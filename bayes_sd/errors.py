"""The one family of errors that bayes_sd raises for bad input.

Each message is one line: what is wrong, where (file, row, column), and what to do about it.
"""


class BayesSdError(Exception):
    """Base of every error that a user can mend; the command line prints it and exits with 2."""


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
