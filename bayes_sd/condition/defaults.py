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

LENGTH_LOG_SD = {"prompt_tokens": 1.0, "output_tokens": 0.7}
"""How unsure the mean lengths above are where a table leaves them blank and the trace does not know the workload, as the sd of
their logarithm: nine prompts in ten from 190 to 5,200 tokens, nine outputs in ten from 63 to 630."""

METHOD_DRAFT_LENGTHS = {
    "mtp": (1, 2, 3),
    "medusa": (3, 4, 5),
    "mlp_speculator": (3, 4, 5),
    "ngram": (3, 5, 8, 10),
    "suffix": (8, 16, 32),
    "dflash": (7, 15),
    "dspark": (3, 5, 7),
}
"""Draft lengths that a table's blank k may mean, each as likely, where the trace has none of the method: those of published
recipes. Any other method may have any of :data:`DRAFT_LENGTHS`."""

DRAFT_MODEL_SHARE, DRAFT_MODEL_SHARE_LOG_SD = 1 / 16, 0.8
"""Size of a draft model of unknown size in units of its verifier's, and how unsure that is: nine in ten from 1/60 to 1/4."""
