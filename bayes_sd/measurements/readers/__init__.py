"""Readers of what benchmark tools write, one file a tool; :func:`ingest` makes one table of them."""

from bayes_sd.measurements.readers.pipeline import IngestReport, ingest, write_table
from bayes_sd.measurements.readers.tools import recognise

__all__ = ["IngestReport", "ingest", "recognise", "write_table"]
