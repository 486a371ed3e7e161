"""Reads what others wrote: whole files, JSON, TOML and CSV, each by one loader with bounds.

Nothing that is read may take the program down: a file of another kind, without an end, nested a thousand deep, or with
numbers of ten thousand digits is refused in one message. Readers of single formats start from what these loaders give.
"""

from bayes_sd.loading.csv_table import csv_line, csv_rows
from bayes_sd.loading.lines import bounded_lines, line_blocks
from bayes_sd.loading.nested import MOST_BYTES_YAML, MOST_DEPTH, load_toml, parse_json, parse_yaml
from bayes_sd.loading.whole import exists, open_input, read_bytes, read_text

__all__ = [
    "MOST_BYTES_YAML",
    "MOST_DEPTH",
    "bounded_lines",
    "csv_line",
    "csv_rows",
    "exists",
    "line_blocks",
    "load_toml",
    "open_input",
    "parse_json",
    "parse_yaml",
    "read_bytes",
    "read_text",
]
