"""Measurements: one schema, checked where a table enters the program; named rules say what a fit uses."""

from bayes_sd.measurements.acceptance_table import read_acceptance
from bayes_sd.measurements.load import known_families, load_family
from bayes_sd.measurements.rules import Report, apply_rules
from bayes_sd.measurements.schema import COLUMNS, Column
from bayes_sd.measurements.table import read_conditions, read_table

__all__ = [
    "COLUMNS",
    "Column",
    "Report",
    "apply_rules",
    "known_families",
    "load_family",
    "read_acceptance",
    "read_conditions",
    "read_table",
]
