"""The numbers of the model's walk-through, each with its reading and its caveat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.forecast.conditions import resolve
from bayes_sd.forecast.costs import costs_for
from bayes_sd.forecast.latency import running_curve
from bayes_sd.latency.acceptance import alpha_iid_from_committed
from bayes_sd.report.cells import Number, interval

if TYPE_CHECKING:
    from bayes_sd.cards import Cards
    from bayes_sd.decide.configurations import Configuration
    from bayes_sd.posterior.posterior import Posterior


def cost_numbers(posterior: Posterior, configuration: Configuration, cards: Cards) -> list[Number]:
    """Give the costs of the stages.

    Parameters
    ----------
    posterior : Posterior
    configuration : Configuration
    cards : Cards

    Returns
    -------
    list of Number
        In milliseconds.
    """
    costs = costs_for(posterior, resolve(configuration.condition, posterior, cards), cards).costs
    context = float(
        configuration.condition["prompt_tokens"].iloc[0]
        + configuration.condition["output_tokens"].iloc[0] / 2
    )
    numbers = [
        Number(
            "prefill of 1,000 prompt tokens, t_pre [ms]",
            interval(1e6 * costs.prefill_token_s, digits=3),
            "What reading a prompt adds to every request in flight.",
            "Cached prefixes cost nothing and are not told apart from computed ones.",
        ),
        Number(
            "verify step whatever it holds, c1v [ms]",
            interval(1e3 * costs.verify_fixed_s),
            "Reading the weights once, and launching the kernels.",
            "Speculation pays because this is shared by all tokens of a step.",
        ),
        Number(
            "token in a verify step, t_tok [ms]",
            interval(1e3 * costs.token_s),
            "What one more token to verify adds to a step.",
            "Told apart from the cost per request only where draft lengths differ.",
        ),
        Number(
            f"cache of one request, {context:.0f} tokens [ms]",
            interval(1e3 * costs.kv_token_s * context),
            "What reading one request's cache adds to a step.",
            "Told apart from t_tok only where lengths differ.",
        ),
    ]
    if configuration.condition["k"].iloc[0] > 0:
        numbers.append(
            Number(
                "draft step, c1d [ms]",
                interval(1e3 * costs.draft_fixed_s),
                "What each drafted token costs, whatever the step holds.",
                "With one draft length measured, its share of the cycle's fixed cost is the prior's.",
            )
        )
    return numbers


def acceptance_numbers(posterior: Posterior, configuration: Configuration, cards: Cards) -> list[Number]:
    """Give acceptance and what follows from it.

    Parameters
    ----------
    posterior : Posterior
    configuration : Configuration
    cards : Cards

    Returns
    -------
    list of Number
    """
    conditions = resolve(configuration.condition, posterior, cards)
    committed = costs_for(posterior, conditions, cards).committed[:, 0]
    k = int(conditions.k[0])
    if not k:
        return [Number("draft length", "0", "Nothing is drafted here.", "Every cycle commits one token.")]
    alpha = alpha_iid_from_committed(committed, np.full(len(committed), k))
    return [
        Number(
            "acceptance per draft token, α",
            interval(alpha),
            "Probability that a drafted token is accepted given those before it.",
            "One number for all positions: real acceptance differs by position and prompt.",
        ),
        Number(
            f"tokens committed per cycle at k = {k}, E",
            interval(committed),
            f"Out of at most {k + 1}.",
            "Not the accepted share, not a length without the verifier's own token.",
        ),
        Number(
            "cycles per request, g/E",
            interval(conditions.output[0] / committed),
            f"Verify steps for {conditions.output[0]:.0f} output tokens.",
            "The last cycle's surplus tokens are left out.",
        ),
    ]


def curve_numbers(posterior: Posterior, configuration: Configuration, cards: Cards) -> list[Number]:
    """Give latency alone, the cost of one more request, and the stability limit.

    Parameters
    ----------
    posterior : Posterior
    configuration : Configuration
    cards : Cards

    Returns
    -------
    list of Number
    """
    conditions = resolve(configuration.condition, posterior, cards)
    predicted = costs_for(posterior, conditions, cards)
    n_max, service = running_curve(predicted, conditions, 0)
    last = np.take_along_axis(service, n_max[:, None] - 1, axis=1)[:, 0]
    return [
        Number(
            "a request alone, S(1) [s]",
            interval(service[:, 0]),
            "Latency while requests never meet.",
            "No load, no queue: what a single user sees.",
        ),
        Number(
            "one more request in flight [ms]",
            interval(1e3 * (last - service[:, 0]) / np.maximum(n_max - 1, 1)),
            "Mean slope of S up to the most that can run.",
            "The curve is not quite straight: kernels are chosen by batch size.",
        ),
        Number(
            "stability limit, n_max/S(n_max) [requests/s]",
            interval(n_max / last),
            "Open loops above it have no steady state: latency grows as long as the run lasts.",
            "The cap comes from the condition or a default, and from how much the cache holds.",
        ),
    ]
