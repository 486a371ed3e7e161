"""What a question takes where it says nothing: one home, so that all commands answer the same question.

Every default that decides an answer is printed before it, with the option that replaces it. The order of
what goes first: what was stated; a row of a file; the rows that a deployment was measured with; these defaults.

A default workload is one of people's text: random or made-up prompts, with which most benchmarks are run, are drafted for
far worse than real traffic, so an answer from them would be wrong for nearly everybody who asks.
"""

from __future__ import annotations

from bayes_sd.measurements.schema import BY_NAME

WORKLOAD = "chat"
"""Name of the prompts where a deployment was never measured. No shipped row has it: its acceptance is drawn from what other
text shows, with their spread, and without what made-up text (:data:`bayes_sd.model.names.SYNTHETIC`) changes."""

PROMPT_TOKENS, OUTPUT_TOKENS = 1000.0, 200.0
"""Mean lengths of a conversation's requests, where neither rows nor options give lengths. About those of the conversation trace
of Azure's LLM inference traces of 2023 (github.com/Azure/AzurePublicDataset, AzureLLMInferenceTrace_conv.csv)."""

OUTPUT_TOKENS_CV = 0.8
"""Spread of output lengths over their mean, where none is stated: that of conversations. In the trace named above two stretches
of 120 requests have 0.72 and 0.88, both together 0.82. Benchmarks that ask for a fixed length have none, which no traffic
has: percentiles of latency promised for it would not be kept."""

OUTPUT_TOKENS_CV_LOG_SD = 0.25
"""How unsure that default is, as the sd of its logarithm: nine in ten from 0.53 to 1.21. Percentiles of latency get wider by
it. A stated spread is taken as it is."""

ARRIVALS = str(BY_NAME["arrivals"].asked)
"""Spacing of an open loop's requests: those of many users who know nothing of each other."""

DRAFT_LENGTHS = tuple(range(1, 9))
"""Draft lengths among which the best one is taken where none is stated: the one that gives away least speed on average, from
an idle server to a full one, each doubling of the load counting alike."""

FALLBACK_DRAFT_LENGTH = 3
"""Draft length where one is needed before anything is computed, such as of a condition that states none and is only looked at."""
