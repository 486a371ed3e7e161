"""The log density of the model and its gradient, in compiled code with the gradient written out by hand.

It is the density of :func:`bayes_sd.model.build.build_model` up to a constant (tests hold the two together, value and
gradient): that one says what the model is and serves prior predictive draws, this one is what a sampler calls a million
times. Compiled once and cached on disk, a call costs some tens of microseconds for a thousand observations.
"""

import math

import numpy as np
from numba import carray, cfunc, njit, types

from bayes_sd.sample.problem import Frame, Problem

# Positions of the parameters in the vector, in the order of bayes_sd.model.parameters.parameters.
(
    PART,
    SLOPE,
    EFFECT,
    DEPLOYMENT_SCALE,
    COST,
    DRAFT_LEVEL,
    DRAFT_FORMAT,
    DRAFT_EXTRA,
    DRAFT_TOKEN_FACTOR,
    DRAFT_SCALE,
    DRAFT_COST,
    ACCEPT_LEVEL,
    ACCEPT_DRAFTER,
    ACCEPT_SCALE,
    ACCEPT_CELL,
    ACCEPT_SLOPE,
    ACCEPT_RUN,
    ACCEPT_SYNTHETIC,
    CACHE_EFFICIENCY,
    CACHE_STACK,
    KERNEL_SCALE,
    KERNEL_RAW,
    ROUTING,
    SKEW,
    BUSIEST,
    OVERLAP,
    MISFIT_SCALE,
    MISFIT,
    LOAD_SCALE,
    LOAD_MISFIT,
    LATENCY_NOISE,
    TTFT_NOISE,
    SHARE_NOISE,
) = range(33)
(
    P_PREFILL,
    P_TOKEN,
    P_LINK,
    P_WEIGHTS,
    P_LAUNCH,
    P_ALLREDUCE,
    P_SEQUENCE,
    P_EXPERTS,
    P_KV,
    P_FIXED,
    P_ATTENTION,
) = range(11)
(C_PREFILL, C_VERIFY, C_REQUEST, C_KV, C_FIXED, C_EXPERT) = range(6)
(I_COMPUTE, I_LINK, I_WEIGHTS, I_EXPERTS, I_KV, I_LAYERS, I_ATTENTION, I_LAUNCHES) = range(8)
(R_DEPLOYMENT, R_PAIR, R_CELL, R_SOURCE, R_NOISE, R_ENGINE, R_SHAPE, R_STACK, R_SPARSE, R_LENGTHS) = range(10)
(F_PROMPT, F_OUTPUT, F_K, F_E, F_LOAD, F_LATENCY, F_TTFT, F_CAP, F_HELD, F_QUIET) = range(10)
# What the duration of a step depends on: the slots of its derivatives.
(D_VERIFY, D_REQUEST, D_KV, D_EXPERT, D_SHARE, D_KERNEL, D_DRAFT, D_DSHARE, D_EXTRA) = range(9)
(D_PSI, D_SKEW, D_BUSIEST, D_FLIGHT) = range(9, 13)
N_SLOTS = 13
DRAFT_BY_COMMITTED = 2.0
"""Power of the tokens per cycle that drafting may cost at one latency: two where drafting is half of a cycle."""
SHARE_SHARPNESS = 8.0
"""One over the share below which the coordinate of a share is its logarithm, see decoding_share."""
CACHE_SHARE_WIDTH = 0.15
"""Weight of the log odds in the coordinate of the cache's share, see cache_share."""
MOST_KNOWN = 64
"""Numbers of tokens in a step that are kept for rows to come."""
# What a step's experts depend on: share touched and wait for the busiest, and their slopes in tokens and log skew.
(X_TOUCHED, X_TOUCHED_TOKENS, X_TOUCHED_SKEW, X_BUSIEST, X_BUSIEST_TOKENS, X_BUSIEST_SKEW) = range(6)


@njit(cache=True, nogil=True, error_model="numpy")
def _sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


@njit(cache=True, nogil=True, error_model="numpy")
def _student(residual, log_sigma, precision, tails):
    """Log density without its constant, and its slopes in the mean and in log sigma."""
    z = residual * precision
    square = z * z
    value = -log_sigma - 0.5 * (tails + 1.0) * math.log1p(square / tails)
    weight = (tails + 1.0) / (tails + square)
    return value, weight * z * precision, -1.0 + weight * square


@njit(cache=True, nogil=True, error_model="numpy")
def _popularity(x, problem, log_missed, log_missed_skew, busiest, busiest_skew):
    """Tabulate each verifier's popularity law at its skew, with slopes in log skew.

    That is the log of an expert's chance to be missed by a token at the nodes of popularity (latency.coverage), and the
    busiest expert's surface (latency.expert_load).
    """
    o = problem.offset
    nodes, surface = problem.popularity_nodes, problem.busiest_surface
    n_degree, n_skew = int(problem.settings[8]), int(problem.settings[9])
    largest = problem.settings[10]
    for i in range(log_missed.shape[0]):
        skew = math.exp(x[o[SKEW] + i])
        centre = problem.sparse[i, 2]
        root = math.sqrt(1.0 + skew * skew)
        for j in range(nodes.size):
            argument = root * centre + skew * nodes[j]
            chosen = min(0.5 * math.erfc(-argument / math.sqrt(2.0)), 1.0 - 2.0**-53)
            slope = math.exp(-0.5 * argument * argument) / math.sqrt(2.0 * math.pi)
            slope *= skew * centre / root + nodes[j]
            log_missed[i, j] = math.log1p(-chosen)
            log_missed_skew[i, j] = -slope / (1.0 - chosen) * skew
        at = min(max(2.0 * skew / largest - 1.0, -1.0 + 1e-12), 1.0 - 1e-12)
        inside = 2.0 * skew / largest if skew < largest else 0.0
        for a in range(n_degree):
            value, slope = 0.0, 0.0
            before, now, slope_before, slope_now = 1.0, at, 0.0, 1.0
            for b in range(n_skew):
                c = surface[i, a * n_skew + b]
                value += c * before
                slope += c * slope_before
                after, slope_after = 2.0 * at * now - before, 2.0 * now + 2.0 * at * slope_now - slope_before
                before, now, slope_before, slope_now = now, after, slope_now, slope_after
            busiest[i, a] = value
            busiest_skew[i, a] = slope * inside


@njit(cache=True, nogil=True, error_model="numpy")
def _experts_at(tokens, weights, missed, missed_skew, surface, surface_skew, most, log_largest, out):
    """Share of the experts that a step of some tokens touches and the busiest one's load, with their slopes."""
    touched, in_tokens, in_skew = 0.0, 0.0, 0.0
    for j in range(weights.size):
        beside = math.expm1(tokens * missed[j])
        touched -= weights[j] * beside
        left = weights[j] * (beside + 1.0)
        in_tokens -= left * missed[j]
        in_skew -= left * tokens * missed_skew[j]
    out[X_TOUCHED], out[X_TOUCHED_TOKENS], out[X_TOUCHED_SKEW] = touched, in_tokens, in_skew
    log_tokens = min(max(math.log(tokens), 0.0), log_largest)
    at = min(max(2.0 * log_tokens / log_largest - 1.0, -1.0 + 1e-12), 1.0 - 1e-12)
    value, slope, in_skew = 0.0, 0.0, 0.0
    before, now, slope_before, slope_now = 1.0, at, 0.0, 1.0
    for a in range(surface.size):
        value += surface[a] * before
        slope += surface[a] * slope_before
        in_skew += surface_skew[a] * before
        after, slope_after = 2.0 * at * now - before, 2.0 * now + 2.0 * at * slope_now - slope_before
        before, now, slope_before, slope_now = now, after, slope_now, slope_after
    load = math.exp(value)
    free = 1.0 if 1.0 < load < most else 0.0
    out[X_BUSIEST] = min(max(load, 1.0), most)
    out[X_BUSIEST_SKEW] = free * load * in_skew
    moving = free if 0.0 < log_tokens < log_largest else 0.0
    out[X_BUSIEST_TOKENS] = moving * load * slope * 2.0 / log_largest / tokens


@njit(cache=True, nogil=True, error_model="numpy")
def _step(
    n,
    verify,
    request,
    kv,
    expert,
    share,
    kernel,
    draft,
    dshare,
    extra,
    context,
    k,
    wait_share,
    spread,
    spread_psi,
    experts,
    sparse,
    d,
):
    """Seconds of a step with n in flight; its derivatives in the logs of costs, and in n, go to d."""
    factor = math.exp(kernel)
    wait, touched = 1.0, 0.0
    if sparse:
        touched = experts[X_TOUCHED]
        wait = 1.0 + wait_share * (experts[X_BUSIEST] - 1.0)
    by_token = request * share * wait
    one = request * (1.0 - share) + (k + 1.0) * by_token
    per_request = one + context * kv
    stage = verify + touched * expert + n * per_request
    steps = k + extra if k > 0 else 0.0
    draft_each = k * dshare * request * share
    d[D_VERIFY] = verify * factor
    d[D_REQUEST] = n * one * factor + n * draft_each
    d[D_KV] = n * context * kv * factor
    d[D_EXPERT] = touched * expert * factor
    d[D_SHARE] = n * request * ((k + 1.0) * wait - 1.0) * factor + n * k * dshare * request
    d[D_KERNEL] = stage * factor
    d[D_DRAFT] = steps * draft
    d[D_DSHARE] = n * draft_each
    d[D_EXTRA] = extra * draft if k > 0 else 0.0
    d[D_FLIGHT] = per_request * factor + draft_each
    if sparse:
        waited = n * (k + 1.0) * request * share * factor
        in_tokens = (
            waited * wait_share * experts[X_BUSIEST_TOKENS] + expert * factor * experts[X_TOUCHED_TOKENS]
        )
        d[D_PSI] = in_tokens * n * spread_psi
        d[D_FLIGHT] += in_tokens * spread
        d[D_SKEW] = waited * wait_share * experts[X_BUSIEST_SKEW] + expert * factor * experts[X_TOUCHED_SKEW]
        d[D_BUSIEST] = waited * (experts[X_BUSIEST] - 1.0)
    return stage * factor + steps * draft + n * draft_each


@njit(cache=True, nogil=True, error_model="numpy")
def committed_of(x, problem, cell, k):
    """Tokens per cycle of an acceptance cell at a draft length, their slope in its level, and doublings of the length.

    It is latency.acceptance.expected_committed_profile at one level.
    """
    o = problem.offset
    doublings = math.log(k / problem.settings[7])
    level = x[o[ACCEPT_CELL] + cell] + x[o[ACCEPT_SLOPE]] * doublings
    committed, slope = 1.0, 0.0
    for j in range(int(k) - 1, -1, -1):
        alpha = _sigmoid(level + problem.cell_profile[cell, min(j, problem.cell_profile.shape[1] - 1)])
        slope = alpha * ((1.0 - alpha) * committed + slope)
        committed = 1.0 + alpha * committed
    return committed, slope, doublings


@njit(cache=True, nogil=True, error_model="numpy")
def _log_sigmoid(x):
    return -math.log1p(math.exp(-x)) if x > 0 else x - math.log1p(math.exp(x))


@njit(cache=True, nogil=True, error_model="numpy")
def decoding_share(u):
    """Turn the coordinate of decoding's share a of the total slope into log(1 − a), log a, and the slope of −log(1 − a).

    1 − a = exp(−softplus(cu)/c): for shares above 1/c the coordinate is linear in what latency is linear in, which rows
    inform alike on both sides; below, it is a logarithm, so that shares stay above zero.
    """
    steep = SHARE_SHARPNESS * u
    soft = u if steep > 30.0 else math.log1p(math.exp(steep)) / SHARE_SHARPNESS
    log_share = math.log(-math.expm1(-soft)) if soft > 1e-12 else steep - math.log(SHARE_SHARPNESS)
    return -soft, log_share, _sigmoid(steep)


@njit(cache=True, nogil=True, error_model="numpy")
def cache_share(u):
    """Turn the coordinate of the cache's share s of decoding's slope into log s, log(1 − s), ds/du and dlogit(s)/du.

    u = s + w·logit(s): half linear in s, which is what rows inform, and half a logarithm, which is what the prior is round in.
    """
    width = CACHE_SHARE_WIDTH
    low, high = (u - 1.0) / width, u / width
    at = min(max((u - 0.5) / (width + 0.25), low), high)
    for _ in range(60):
        s = _sigmoid(at)
        miss = s + width * at - u
        if miss > 0.0:
            high = at
        else:
            low = at
        move = at - miss / (s * (1.0 - s) + width)
        if not low < move < high:
            move = 0.5 * (low + high)
        done = abs(move - at) < 1e-13 * (1.0 + abs(at))
        at = move
        if done:
            break
    s = _sigmoid(at)
    rate = s * (1.0 - s) + width
    return _log_sigmoid(at), _log_sigmoid(-at), s * (1.0 - s) / rate, 1.0 / rate


@njit(cache=True, nogil=True, error_model="numpy")
def typical_coverage(log_skew, centre, problem):
    """Log of the share of experts that a step of typical load touches, and its slope in log skew."""
    if problem.settings[3] == 0:
        return 0.0, 0.0
    skew, tokens = math.exp(log_skew), problem.settings[13]
    root = math.sqrt(1.0 + skew * skew)
    touched, slope = 0.0, 0.0
    for j in range(problem.popularity_nodes.size):
        argument = root * centre + skew * problem.popularity_nodes[j]
        missed = 1.0 - min(0.5 * math.erfc(-argument / math.sqrt(2.0)), 1.0 - 2.0**-53)
        rate = math.exp(-0.5 * argument * argument) / math.sqrt(2.0 * math.pi)
        rate *= (skew * centre / root + problem.popularity_nodes[j]) * skew
        touched += problem.popularity_weights[j] * (1.0 - missed**tokens)
        slope += problem.popularity_weights[j] * tokens * missed ** (tokens - 1.0) * rate
    return math.log(touched), slope / touched


@njit(cache=True, nogil=True, error_model="numpy")
def prompt_attention(x, problem, deployment, prompt):
    """How much attention adds to a token of a prompt, in units of its other work: model.costs.prompt_growth less one."""
    return math.exp(x[problem.offset[PART] + P_ATTENTION]) * problem.ideal[I_ATTENTION, deployment] * prompt


@njit(cache=True, nogil=True, error_model="numpy")
def to_natural(x, natural, problem):
    """Turn coordinates that the data inform into the model's parameters.

    What a deployment's rows inform is the total slope of latency in load at their typical request, not its summands:
    log costs of prefill, request and cache are replaced by that total, decoding's share of it (:func:`decoding_share`) and
    the cache's share of decoding (:func:`cache_share`), and a pair's draft cost by the cost of its typical cycle, over a
    power of its tokens per cycle where no row states them: then only the ratio of the two shows in latency. Otherwise the
    posterior is a set of narrow bent ridges. (A deployment of one row is left as it is: there the prior rules, which is
    straight in the summands.) So for the step's fixed cost of a mixture of experts: the total at a typical load, and the
    log ratio of what experts and the rest take of it. A launch is moved as what it costs with all-reduces, which is what
    tensor-parallel rows tell; kernel curves in log units and not in units of their scale where rows inform them (centred).

    Returns
    -------
    float
        Log of the volume change, to add to the density.
    """
    o, n_dep = problem.offset, problem.sizes[1]
    for i in range(x.size):
        natural[i] = x[i]
    base, volume = o[COST], 0.0
    for d in range(n_dep):
        if not problem.summed[d]:
            continue
        total = x[base + C_PREFILL * n_dep + d]
        log_kv, log_request, _, steep = cache_share(x[base + C_KV * n_dep + d])
        volume += math.log(steep)
        log_rest, log_share, slope = decoding_share(x[base + C_REQUEST * n_dep + d])
        volume += math.log(slope) - log_share
        decode = total + log_share - problem.typical[d, 1]
        attention = prompt_attention(x, problem, d, math.exp(problem.typical[d, 0]))
        natural[base + C_PREFILL * n_dep + d] = (
            total + log_rest - problem.typical[d, 0] - math.log1p(attention)
        )
        natural[base + C_REQUEST * n_dep + d] = decode + log_request
        natural[base + C_KV * n_dep + d] = decode + log_kv - problem.typical[d, 2]
    natural[o[PART] + P_LAUNCH] += _log_sigmoid(-x[o[PART] + P_ALLREDUCE])
    extra = math.exp(x[o[DRAFT_EXTRA]])
    for i in range(problem.pair_ideal.size):
        natural[o[DRAFT_COST] + i] = x[o[DRAFT_COST] + i] - math.log(problem.pair_length[i] + extra)
        if problem.pair_latent_cell[i] >= 0:
            committed, _, _ = committed_of(x, problem, problem.pair_latent_cell[i], problem.pair_length[i])
            natural[o[DRAFT_COST] + i] += DRAFT_BY_COMMITTED * math.log(committed)
    for i in range(problem.sparse.shape[0]):
        covered, _ = typical_coverage(x[o[SKEW] + i], problem.sparse[i, 2], problem)
        for d in range(n_dep):
            if problem.deployment_sparse[d] == i:
                total, ratio = x[base + C_VERIFY * n_dep + d], x[base + C_EXPERT * n_dep + d]
                natural[base + C_VERIFY * n_dep + d] = total + _log_sigmoid(-ratio)
                natural[base + C_EXPERT * n_dep + d] = total + _log_sigmoid(ratio) - covered
    inverse = math.exp(-x[o[KERNEL_SCALE]])
    for i in range(problem.kernel_centred.size):
        if problem.kernel_centred[i]:
            natural[o[KERNEL_RAW] + i] *= inverse
            volume -= x[o[KERNEL_SCALE]]
    return volume


@njit(cache=True, nogil=True, error_model="numpy")
def _pull_back(x, grad, natural, problem):
    """Turn a gradient in the model's parameters into one in the coordinates that the data inform."""
    o, n_dep = problem.offset, problem.sizes[1]
    base = o[COST]
    for d in range(n_dep):
        if not problem.summed[d]:
            continue
        at_prefill, at_request, at_kv = (
            base + C_PREFILL * n_dep + d,
            base + C_REQUEST * n_dep + d,
            base + C_KV * n_dep + d,
        )
        log_rest, log_share, slope = decoding_share(x[at_request])
        odds = math.exp(log_rest - log_share)
        log_kv, _, in_share, steep = cache_share(x[at_kv])
        b = math.exp(log_kv)
        prefill, request, kv = grad[at_prefill], grad[at_request], grad[at_kv]
        attention = prompt_attention(x, problem, d, math.exp(problem.typical[d, 0]))
        grad[o[PART] + P_ATTENTION] -= prefill * attention / (1.0 + attention)
        grad[at_prefill] = prefill + request + kv
        grad[at_request] = slope * (odds * (request + kv - 1.0) - prefill) + SHARE_SHARPNESS * (1.0 - slope)
        grad[at_kv] = (kv * (1.0 - b) - b * request) * steep - (1.0 - 2.0 * b) * steep * in_share
    grad[o[PART] + P_ALLREDUCE] -= grad[o[PART] + P_LAUNCH] * _sigmoid(x[o[PART] + P_ALLREDUCE])
    extra = math.exp(x[o[DRAFT_EXTRA]])
    for i in range(problem.pair_ideal.size):
        grad[o[DRAFT_EXTRA]] -= grad[o[DRAFT_COST] + i] * extra / (problem.pair_length[i] + extra)
        if problem.pair_latent_cell[i] >= 0:
            committed, slope, doublings = committed_of(
                x, problem, problem.pair_latent_cell[i], problem.pair_length[i]
            )
            in_level = grad[o[DRAFT_COST] + i] * DRAFT_BY_COMMITTED * slope / committed
            grad[o[ACCEPT_CELL] + problem.pair_latent_cell[i]] += in_level
            grad[o[ACCEPT_SLOPE]] += in_level * doublings
    for i in range(problem.sparse.shape[0]):
        _, slope = typical_coverage(x[o[SKEW] + i], problem.sparse[i, 2], problem)
        for d in range(n_dep):
            if problem.deployment_sparse[d] == i:
                at_verify, at_expert = base + C_VERIFY * n_dep + d, base + C_EXPERT * n_dep + d
                verify, expert, a = grad[at_verify], grad[at_expert], _sigmoid(x[at_expert])
                grad[o[SKEW] + i] -= expert * slope
                grad[at_verify] = verify + expert
                grad[at_expert] = expert * (1.0 - a) - verify * a
    inverse, scale = math.exp(-x[o[KERNEL_SCALE]]), o[KERNEL_SCALE]
    for i in range(problem.kernel_centred.size):
        if problem.kernel_centred[i]:
            at = o[KERNEL_RAW] + i
            grad[scale] -= grad[at] * natural[at] + 1.0
            grad[at] *= inverse


@njit(cache=True, nogil=True, error_model="numpy")
def informed_density(x, grad, natural, problem):
    """Compute :func:`density` and its gradient in the coordinates that the data inform (see :func:`to_natural`)."""
    volume = to_natural(x, natural, problem)
    value = density(natural, grad, problem) + volume
    _pull_back(x, grad, natural, problem)
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def from_frame(z, x, work, frame):
    """Turn a frame's coordinates into those that the data inform: x = shift + L^-T W z."""
    n = z.size
    for i in range(n):
        work[i] = z[i]
    _stretch(work, frame)
    for i in range(n - 1, -1, -1):
        last = frame.start[i + 1] - 1
        solved = work[i] / frame.entry[last]
        x[frame.order[i]] = solved + frame.shift[frame.order[i]]
        for e in range(frame.start[i], last):
            work[frame.column[e]] -= frame.entry[e] * solved


@njit(cache=True, nogil=True, error_model="numpy")
def to_frame_gradient(grad, work, frame):
    """Turn a gradient in the coordinates that the data inform into one in the frame's, in place."""
    n = grad.size
    for i in range(n):
        last = frame.start[i + 1] - 1
        total = grad[frame.order[i]]
        for e in range(frame.start[i], last):
            total -= frame.entry[e] * work[frame.column[e]]
        work[i] = total / frame.entry[last]
    for i in range(n):
        grad[i] = work[i]
    _stretch(grad, frame)


@njit(cache=True, nogil=True, error_model="numpy")
def _stretch(z, frame):
    """Stretch a vector along the frame's directions, which are orthonormal, in place: z becomes W z."""
    for j in range(frame.stretch.size):
        direction, along = frame.along[j], 0.0
        for i in range(z.size):
            along += direction[i] * z[i]
        along *= frame.stretch[j] - 1.0
        for i in range(z.size):
            z[i] += along * direction[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _hierarchy(x, grad, problem, share, share_slope):
    """Deployment costs round their rooflines; fills the token share and its slope in log(tokens/sequence)."""
    o, ideal = problem.offset, problem.ideal
    n_coef, n_dep, n_level, n_kind = problem.sizes[0], problem.sizes[1], problem.sizes[2], problem.sizes[3]
    scales = problem.effect_scale
    pooled = problem.settings[1] > 0
    part = np.exp(x[o[PART] : o[PART + 1]])
    g_part = grad[o[PART] : o[PART + 1]]
    value = 0.0
    base = np.empty(6)
    effects = x[o[EFFECT] : o[EFFECT + 1]]
    inverses = np.exp(-x[o[DEPLOYMENT_SCALE] : o[DEPLOYMENT_SCALE + 1]])
    g_effect = grad[o[EFFECT] : o[EFFECT + 1]]
    level_of, kind_of, log2_tp = problem.level_of, problem.kind_of, problem.log2_tp
    o_cost, o_residual, o_slope = o[COST], o[DEPLOYMENT_SCALE], o[SLOPE]
    alone = math.log(problem.settings[6])
    for d in range(n_dep):
        compute, link = ideal[I_COMPUTE, d], part[P_LINK] * ideal[I_LINK, d]
        prefill = part[P_PREFILL] * compute
        weights = part[P_WEIGHTS] * ideal[I_WEIGHTS, d]
        parallel = 1.0 if problem.log2_tp[d] > 0 else 0.0
        latency = part[P_ALLREDUCE] * parallel * ideal[I_LAYERS, d]
        launch = part[P_LAUNCH] * (ideal[I_LAUNCHES, d] + latency)
        tokens = part[P_TOKEN] * compute
        request = tokens + link + part[P_SEQUENCE]
        share[d] = (tokens + link) / request
        base[C_PREFILL] = math.log(prefill + link)
        base[C_VERIFY] = math.log(weights + launch)
        base[C_REQUEST] = math.log(request)
        base[C_KV] = math.log(part[P_KV] * ideal[I_KV, d])
        base[C_FIXED] = math.log(part[P_FIXED])
        base[C_EXPERT] = math.log(part[P_EXPERTS] * max(ideal[I_EXPERTS, d], 1e-12))
        for c in range(n_coef):
            expected = base[c]
            log_scale = alone
            inverse = 1.0 / problem.settings[6]
            if pooled:
                expected += x[o_slope + c] * log2_tp[d]
                for i in range(n_kind):
                    level = level_of[d, i]
                    expected += effects[c * n_level + level] * scales[c * n_kind + kind_of[level]]
                log_scale = x[o_residual + c]
                inverse = inverses[c]
            z = (x[o_cost + c * n_dep + d] - expected) * inverse
            value += -0.5 * z * z - log_scale
            slope = z * inverse
            grad[o_cost + c * n_dep + d] -= slope
            if pooled:
                grad[o_residual + c] += z * z - 1.0
                grad[o_slope + c] += slope * log2_tp[d]
                for i in range(n_kind):
                    level = level_of[d, i]
                    at = c * n_kind + kind_of[level]
                    g_effect[c * n_level + level] += slope * scales[at]
            if c == C_PREFILL:
                g_part[P_PREFILL] += slope * prefill / (prefill + link)
                g_part[P_LINK] += slope * link / (prefill + link)
            elif c == C_VERIFY:
                g_part[P_WEIGHTS] += slope * weights / (weights + launch)
                g_part[P_LAUNCH] += slope * launch / (weights + launch)
                extra = latency / (ideal[I_LAUNCHES, d] + latency)
                g_part[P_ALLREDUCE] += slope * launch / (weights + launch) * extra
            elif c == C_REQUEST:
                g_part[P_TOKEN] += slope * tokens / request
                g_part[P_LINK] += slope * link / request
                g_part[P_SEQUENCE] += slope * part[P_SEQUENCE] / request
            elif c == C_KV:
                g_part[P_KV] += slope
            elif c == C_FIXED:
                g_part[P_FIXED] += slope
            else:
                g_part[P_EXPERTS] += slope
        # d share / d log part, for the adjoint that the observations bring.
        rest = part[P_SEQUENCE] / (request * request)
        share_slope[d, 0] = tokens * rest
        share_slope[d, 1] = link * rest
        share_slope[d, 2] = -(tokens + link) * rest
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def _drafting(x, grad, problem):
    """Hierarchies of draft costs and of acceptance, and the acceptance measurements."""
    o = problem.offset
    value = 0.0
    log_scale = x[o[DRAFT_SCALE]]
    for i in range(problem.pair_ideal.size):
        small = problem.pair_small_cache[i]
        expected = problem.pair_ideal[i] + x[o[DRAFT_LEVEL]] + small * x[o[DRAFT_FORMAT]]
        z = (x[o[DRAFT_COST] + i] - expected) * math.exp(-log_scale)
        value += -0.5 * z * z - log_scale
        grad[o[DRAFT_COST] + i] -= z * math.exp(-log_scale)
        grad[o[DRAFT_LEVEL]] += z * math.exp(-log_scale)
        grad[o[DRAFT_FORMAT]] += small * z * math.exp(-log_scale)
        grad[o[DRAFT_SCALE]] += z * z - 1.0
    for i in range(o[ACCEPT_DRAFTER + 1] - o[ACCEPT_DRAFTER]):
        sd = problem.settings[4]
        z = (x[o[ACCEPT_DRAFTER] + i] - x[o[ACCEPT_LEVEL]]) / sd
        value += -0.5 * z * z
        grad[o[ACCEPT_DRAFTER] + i] -= z / sd
        grad[o[ACCEPT_LEVEL]] += z / sd
    log_scale = x[o[ACCEPT_SCALE]]
    for i in range(problem.cell_drafter.size):
        parent = o[ACCEPT_DRAFTER] + problem.cell_drafter[i]
        synthetic = problem.cell_synthetic[i]
        z = (x[o[ACCEPT_CELL] + i] - x[parent] - synthetic * x[o[ACCEPT_SYNTHETIC]]) * math.exp(-log_scale)
        value += -0.5 * z * z - log_scale
        grad[o[ACCEPT_SYNTHETIC]] += synthetic * z * math.exp(-log_scale)
        grad[o[ACCEPT_CELL] + i] -= z * math.exp(-log_scale)
        grad[parent] += z * math.exp(-log_scale)
        grad[o[ACCEPT_SCALE]] += z * z - 1.0
    run_precision = math.exp(-x[o[ACCEPT_RUN]])
    for r in problem.accept_row:
        cell = o[ACCEPT_CELL] + problem.row_int[r, R_CELL]
        doublings = math.log(problem.row_float[r, F_K] / problem.settings[7])
        mean = x[cell] + x[o[ACCEPT_SLOPE]] * doublings
        log_sigma = x[o[ACCEPT_RUN]]
        v, slope, noise = _student(
            problem.accept_logit[r] - mean, log_sigma, run_precision, problem.settings[0]
        )
        value += v
        grad[cell] += slope
        grad[o[ACCEPT_SLOPE]] += slope * doublings
        grad[o[ACCEPT_RUN]] += noise
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def _poisson_law(service, rate, reach, weight):
    """Mean number in flight under Poisson arrivals; weight becomes the slope of its log in each log S(n)."""
    top, total = 0.0, 0.0
    for j in range(reach):
        total += math.log(service[j] * rate / (j + 1.0))
        weight[j] = total
        top = max(top, total)
    norm, mean = math.exp(-top), 0.0
    for j in range(reach):
        weight[j] = math.exp(weight[j] - top)
        norm += weight[j]
        mean += weight[j] * (j + 1.0)
    mean /= norm
    tail = 0.0
    for j in range(reach - 1, -1, -1):
        tail += weight[j] / norm * (j + 1.0 - mean)
        weight[j] = tail / mean
    return mean


@njit(cache=True, nogil=True, error_model="numpy")
def density(x, grad, problem):
    """Compute the log density and its gradient.

    Parameters
    ----------
    x : array, shape (parameter,)
        Unknowns in the order of bayes_sd.model.parameters.parameters.
    grad : array, shape (parameter,)
        Overwritten with the gradient.
    problem : Problem

    Returns
    -------
    float
        Log density up to a constant.
    """
    o, settings = problem.offset, problem.settings
    n_dep, n_knot = problem.sizes[1], problem.sizes[4]
    closed, even, reach = problem.sizes[5], problem.sizes[6], problem.sizes[8]
    tails, least = settings[0], settings[14]
    value = 0.0
    for i in range(x.size):
        grad[i] = 0.0
        if problem.prior_sd[i] > 0:
            z = (x[i] - problem.prior_mean[i]) / problem.prior_sd[i]
            value -= 0.5 * z * z
            grad[i] = -z / problem.prior_sd[i]
    # Local names: the compiler may not assume that writing to grad leaves the problem's fields alone.
    row_int, row_float, point_in_flight = problem.row_int, problem.row_float, problem.point_in_flight
    point_start, point_weight, knots = problem.point_start, problem.point_weight, problem.knot_factor
    ttft_slot, share_slot, share_value = problem.ttft_slot, problem.share_slot, problem.share_value
    covers, curved, sharpness = settings[3] > 0, settings[2] > 0, settings[5]
    o_cost, o_noise, o_ttft, o_share = o[COST], o[LATENCY_NOISE], o[TTFT_NOISE], o[SHARE_NOISE]
    o_draft, o_dshare, o_extra, o_overlap = o[DRAFT_COST], o[DRAFT_TOKEN_FACTOR], o[DRAFT_EXTRA], o[OVERLAP]
    o_cell, o_slope, o_routing, o_busiest = o[ACCEPT_CELL], o[ACCEPT_SLOPE], o[ROUTING], o[BUSIEST]
    o_efficiency, o_stack, o_skew = o[CACHE_EFFICIENCY], o[CACHE_STACK], o[SKEW]
    share = np.empty(n_dep)
    share_slope = np.empty((n_dep, 3))
    value += _hierarchy(x, grad, problem, share, share_slope)
    value += _drafting(x, grad, problem)
    # A spread stands right before what it is the spread of.
    for spread_of in (MISFIT_SCALE, LOAD_SCALE):
        scale_at = o[spread_of]
        log_scale = x[scale_at]
        inverse = math.exp(-log_scale)
        for i in range(o[spread_of + 1], o[spread_of + 2]):
            z = x[i] * inverse
            value -= 0.5 * z * z + log_scale
            grad[i] -= z * inverse
            grad[scale_at] += z * z - 1.0

    n_stack = (o[KERNEL_RAW + 1] - o[KERNEL_RAW]) // n_knot
    kernel_scale = math.exp(x[o[KERNEL_SCALE]]) if settings[2] > 0 else 0.0
    raw = x[o[KERNEL_RAW] : o[KERNEL_RAW + 1]]
    curve = np.zeros(n_stack * n_knot)
    g_curve = np.zeros(n_stack * n_knot)
    if settings[2] > 0:
        for s in range(n_stack):
            for i in range(n_knot):
                for j in range(n_knot):
                    curve[s * n_knot + i] += knots[i, j] * raw[s * n_knot + j]

    cost = np.exp(x[o[COST] : o[COST + 1]])
    g_share = np.zeros(n_dep)
    extra = math.exp(x[o[DRAFT_EXTRA]])
    psi = _sigmoid(x[o[ROUTING]])
    wait_share = _sigmoid(x[o[BUSIEST]])
    local = np.zeros((max(2, reach), N_SLOTS))
    steps = np.empty(max(2, reach))
    service = np.empty(max(2, reach))
    weight = np.empty(max(2, reach))
    n_sparse, n_node = problem.sparse.shape[0], problem.popularity_nodes.size
    missed, missed_skew = np.empty((n_sparse, n_node)), np.empty((n_sparse, n_node))
    surface, surface_skew = np.empty((n_sparse, int(settings[8]))), np.empty((n_sparse, int(settings[8])))
    experts = np.zeros(6)
    experts[X_TOUCHED], experts[X_BUSIEST] = 1.0, 1.0  # where all are always read
    # Most steps have a number of tokens that another row had too.
    known, known_experts = np.empty((n_sparse, MOST_KNOWN)), np.empty((n_sparse, MOST_KNOWN, 6))
    n_known = np.zeros(n_sparse, dtype=np.int64)
    log_largest = math.log(settings[11])
    if covers:
        _popularity(x, problem, missed, missed_skew, surface, surface_skew)

    draft_cost = np.exp(x[o[DRAFT_COST] : o[DRAFT_COST + 1]])
    draft_share = np.exp(problem.pair_log_share + x[o[DRAFT_TOKEN_FACTOR]])
    overlaps = 1.0 / (1.0 + np.exp(-x[o[OVERLAP] : o[OVERLAP + 1]]))
    efficiencies = np.exp(x[o[CACHE_EFFICIENCY] : o[CACHE_EFFICIENCY + 1]])
    off = np.exp(x[o[LOAD_MISFIT] : o[LOAD_MISFIT + 1]])
    o_load, o_attention = o[LOAD_MISFIT], o[PART] + P_ATTENTION
    attention_each = math.exp(x[o_attention]) * problem.ideal[I_ATTENTION]
    stack_cache = np.exp(x[o[CACHE_STACK] : o[CACHE_STACK + 1]])
    routed_less = settings[12]
    precision = np.exp(-x[o[LATENCY_NOISE] : o[SHARE_NOISE + 1]])
    n_rows = row_int.shape[0]
    for r in range(n_rows):
        d = row_int[r, R_DEPLOYMENT]
        pair, source = row_int[r, R_PAIR], row_int[r, R_SOURCE]
        prompt, output = row_float[r, F_PROMPT], row_float[r, F_OUTPUT]
        k, committed = row_float[r, F_K], row_float[r, F_E]
        load, y = row_float[r, F_LOAD], row_float[r, F_LATENCY]
        sparse = row_int[r, R_SPARSE]
        sees = sparse >= 0 and covers
        latent = math.isnan(committed)
        committed_slope, doublings = 0.0, 0.0
        if latent:
            committed, committed_slope, doublings = committed_of(x, problem, row_int[r, R_CELL], k)
        draft, dshare = 0.0, 0.0
        if pair >= 0:
            draft, dshare = draft_cost[pair], draft_share[pair]
        prefill, verify = cost[C_PREFILL * n_dep + d], cost[C_VERIFY * n_dep + d]
        at_load = o_load + row_int[r, R_LENGTHS]
        loaded = off[row_int[r, R_LENGTHS]]
        request, kv = cost[C_REQUEST * n_dep + d] * loaded, cost[C_KV * n_dep + d] * loaded
        fixed = cost[C_FIXED * n_dep + d]
        expert = 0.0
        if sparse >= 0:
            expert = cost[C_EXPERT * n_dep + d]
        overlap = overlaps[source]
        attention = attention_each[d] * prompt
        own = prompt * prefill * (1.0 + attention) * loaded
        attention /= 1.0 + attention
        context, cycles = prompt + 0.5 * output, output / committed
        spread_psi = max(k - routed_less, 0.0)
        spread = 1.0 + psi * spread_psi

        if r < closed:
            start, count, gap = r, 1, 0
        elif r < closed + even:
            start, count, gap = r, 2, even
        else:
            start, count, gap = closed + 2 * even + (r - closed - even) * reach, reach, 1
        running, flight_slope = 0.0, 0.0
        for j in range(count):
            at = start + j * gap
            n = point_in_flight[at]
            if r < closed:
                held = (
                    efficiencies[row_int[r, R_ENGINE]]
                    * stack_cache[row_int[r, R_STACK]]
                    * row_float[r, F_HELD]
                )
                offered = min(row_float[r, F_CAP], n)
                ratio = offered / held
                if ratio >= 0.2:
                    ratio = ratio**sharpness
                    n = offered * (1.0 + ratio) ** (-1.0 / sharpness)
                    flight_slope = n * ratio / (1.0 + ratio)  # dn / d log held
                else:
                    n = offered
            running = n
            kernel = 0.0
            if curved:
                left, w = point_start[at], point_weight[at]
                kernel = kernel_scale * (curve[left] * (1.0 - w) + curve[left + 1] * w)
            if sees:
                tokens, found = n * spread, 0
                while found < n_known[sparse] and known[sparse, found] != tokens:
                    found += 1
                if found == n_known[sparse]:
                    most = problem.sparse[sparse, 0] / problem.sparse[sparse, 1]
                    found = min(found, MOST_KNOWN - 1)
                    _experts_at(
                        tokens, problem.popularity_weights, missed[sparse], missed_skew[sparse], surface[sparse],
                        surface_skew[sparse], most, log_largest, known_experts[sparse, found],
                    )  # fmt: skip
                    known[sparse, found] = tokens
                    n_known[sparse] = found + 1
                experts = known_experts[sparse, found]
            steps[j] = _step(
                n, verify, request, kv, expert, share[d], kernel, draft, dshare, extra, context, k, wait_share, spread,
                spread_psi, experts, sparse >= 0, local[j],
            )  # fmt: skip
            service[j] = fixed + own * n + cycles * steps[j]
        last = count - 1 if count == 2 else 0
        if count > 2:
            running = 1.0
        first = fixed + own * (1.0 + overlap * (running - 1.0)) + 0.5 * steps[last]

        # Mean log latency by protocol, and its slope in log S at each point.
        if r < closed:
            mean = math.log(service[0] * load / running)
            weight[0] = 1.0
        elif r < closed + even:
            measured = load * math.exp(y)
            below = math.floor(measured)
            x0, x1 = below / service[0], (below + 1.0) / service[1]
            part = measured - below
            through = x0 + part * (x1 - x0)
            miss = math.log(load) - math.log(through)
            span = measured * (x1 - x0)
            root = math.sqrt(span * span + least * least * through * through)
            mean = y + miss * through / root
            # The slopes of mean in throughput and in span.
            in_through = (miss - 1.0) / root - miss * through * through * least * least / (root * root * root)
            in_span = -miss * through * span / (root * root * root)
            weight[0] = -x0 * ((1.0 - part) * in_through - measured * in_span)
            weight[1] = -x1 * (part * in_through + measured * in_span)
        else:
            mean = math.log(_poisson_law(service, load, reach, weight)) - math.log(load)

        at_misfit = o[MISFIT] + row_int[r, R_SHAPE]
        mean += x[at_misfit]

        noise = o_noise + row_int[r, R_NOISE]
        # Noise is a row's own multiple of its group's: see bayes_sd.model.build.noise_factor.
        v, slope, noise_slope = _student(
            y - mean, x[noise], precision[noise - o_noise] * row_float[r, F_QUIET], tails
        )
        value += v
        grad[noise] += noise_slope

        g_first, g_service_last, g_mean = 0.0, 0.0, slope
        if ttft_slot[r] == 1 and count <= 2:
            sigma = o_ttft + source
            fit = precision[sigma - o_noise]
            v, s1, s2 = _student(row_float[r, F_TTFT] - math.log(first), x[sigma], fit, tails)
            value += v
            g_first = s1 / first
            grad[sigma] += s2
        elif share_slot[r] == 1 and count <= 2:
            sigma = o_share + source
            scale = math.exp(-mean)
            decoding = (service[last] - first) * scale
            fit = precision[sigma - o_noise]
            v, s1, s2 = _student(share_value[r] - decoding, x[sigma], fit, tails)
            value += v
            grad[sigma] += s2
            g_first = -s1 * scale
            g_service_last = s1 * scale
            g_mean -= s1 * decoding

        grad[at_misfit] += g_mean
        for j in range(count):
            at = start + j * gap
            g_service = g_mean * weight[j] / service[j]
            g_start = 0.0
            if j == last:
                g_service += g_service_last
                g_start = g_first
            if g_service == 0.0 and g_start == 0.0:
                continue
            n = running if r < closed else point_in_flight[at]
            g = g_service * cycles + 0.5 * g_start
            slots = local[j]
            shared = 1.0 + overlap * (n - 1.0)
            g_own = own * (g_service * n + g_start * shared)
            grad[o_cost + C_PREFILL * n_dep + d] += g_own
            grad[o_attention] += g_own * attention
            grad[at_load] += g_own + g * (slots[D_REQUEST] + slots[D_KV])
            grad[o_cost + C_VERIFY * n_dep + d] += g * slots[D_VERIFY]
            grad[o_cost + C_REQUEST * n_dep + d] += g * slots[D_REQUEST]
            grad[o_cost + C_KV * n_dep + d] += g * slots[D_KV]
            grad[o_cost + C_FIXED * n_dep + d] += (g_service + g_start) * fixed
            g_share[d] += g * slots[D_SHARE]
            if curved:
                left, w = point_start[at], point_weight[at]
                g_curve[left] += g * slots[D_KERNEL] * (1.0 - w)
                g_curve[left + 1] += g * slots[D_KERNEL] * w
            if pair >= 0:
                grad[o_draft + pair] += g * slots[D_DRAFT]
                grad[o_dshare] += g * slots[D_DSHARE]
                grad[o_extra] += g * slots[D_EXTRA]
            if latent:
                g_level = -g_service * cycles / committed * steps[j] * committed_slope
                grad[o_cell + row_int[r, R_CELL]] += g_level
                grad[o_slope] += g_level * doublings
            if sparse >= 0:
                grad[o_cost + C_EXPERT * n_dep + d] += g * slots[D_EXPERT]
            if sees:
                grad[o_routing] += g * slots[D_PSI] * psi * (1.0 - psi)
                grad[o_skew + sparse] += g * slots[D_SKEW]
                grad[o_busiest] += g * slots[D_BUSIEST] * wait_share * (1.0 - wait_share)
            grad[o_overlap + source] += g_start * own * (n - 1.0) * overlap * (1.0 - overlap)
            if flight_slope != 0.0:
                g_n = g * slots[D_FLIGHT] + own * (g_service + g_start * overlap) - g_mean / running
                g_n *= flight_slope
                grad[o_efficiency + row_int[r, R_ENGINE]] += g_n
                grad[o_stack + row_int[r, R_STACK]] += g_n

    for d in range(n_dep):
        grad[o[PART] + P_TOKEN] += g_share[d] * share_slope[d, 0]
        grad[o[PART] + P_LINK] += g_share[d] * share_slope[d, 1]
        grad[o[PART] + P_SEQUENCE] += g_share[d] * share_slope[d, 2]
    if settings[2] > 0:
        for s in range(n_stack):
            for i in range(n_knot):
                g = g_curve[s * n_knot + i]
                if g != 0.0:
                    grad[o[KERNEL_SCALE]] += g * kernel_scale * curve[s * n_knot + i]
                    for j in range(n_knot):
                        grad[o[KERNEL_RAW] + s * n_knot + j] += g * kernel_scale * knots[i, j]
    return value


# C callbacks for bayes_sd.sample.native. They stand in this file because compiled code on disk is renewed when its own
# file changes, and not when what it calls does.

HEADER = 3
"""Words per field before the data of a block: where it starts, its rows, its columns (0 for a vector)."""
NOT_FINITE = 3
N_FIELDS, N_FRAME = len(Problem._fields), len(Frame._fields)
_LOGP = types.int64(
    types.uint64,
    types.CPointer(types.double),
    types.CPointer(types.double),
    types.CPointer(types.double),
    types.voidptr,
)
_EXPAND = types.int64(
    types.uint64, types.uint64, types.CPointer(types.double), types.CPointer(types.double), types.voidptr
)


@njit(cache=True, error_model="numpy")
def _vector(words, values, field):
    start, rows = words[1 + HEADER * field], words[2 + HEADER * field]
    return values[start : start + rows]


@njit(cache=True, error_model="numpy")
def _matrix(words, values, field):
    start, rows, columns = words[1 + HEADER * field], words[2 + HEADER * field], words[3 + HEADER * field]
    return values[start : start + rows * columns].reshape((rows, columns))


@njit(cache=True, error_model="numpy")
def unpack(words, values):
    """Give the problem of a block, as views: `words` its integers, `values` the same memory as floats."""
    # Fields by number from an array: for numbers written out the compiler would make a function each.
    at = np.arange(N_FIELDS)
    return Problem(
        _vector(words, words, at[0]),
        _vector(words, values, at[1]),
        _vector(words, values, at[2]),
        _vector(words, words, at[3]),
        _vector(words, values, at[4]),
        _matrix(words, values, at[5]),
        _vector(words, values, at[6]),
        _matrix(words, words, at[7]),
        _vector(words, words, at[8]),
        _matrix(words, words, at[9]),
        _matrix(words, values, at[10]),
        _vector(words, words, at[11]),
        _vector(words, values, at[12]),
        _vector(words, words, at[13]),
        _vector(words, values, at[14]),
        _matrix(words, values, at[15]),
        _vector(words, words, at[16]),
        _vector(words, words, at[17]),
        _vector(words, values, at[18]),
        _vector(words, values, at[19]),
        _vector(words, values, at[20]),
        _matrix(words, values, at[21]),
        _vector(words, words, at[22]),
        _vector(words, words, at[23]),
        _vector(words, words, at[24]),
        _vector(words, values, at[25]),
        _vector(words, values, at[26]),
        _vector(words, values, at[27]),
        _matrix(words, values, at[28]),
        _matrix(words, values, at[29]),
        _vector(words, values, at[30]),
        _vector(words, values, at[31]),
        _matrix(words, values, at[32]),
        _vector(words, words, at[33]),
        _vector(words, values, at[34]),
        _vector(words, words, at[35]),
        _vector(words, words, at[36]),
        _vector(words, values, at[37]),
        _vector(words, words, at[38]),
    )


@njit(cache=True, error_model="numpy")
def unpack_frame(words, values):
    """Give the frame of a block, as views."""
    at = np.arange(N_FIELDS, N_FIELDS + N_FRAME)
    return Frame(
        _vector(words, values, at[0]),
        _vector(words, words, at[1]),
        _vector(words, words, at[2]),
        _vector(words, words, at[3]),
        _vector(words, values, at[4]),
        _matrix(words, values, at[5]),
        _vector(words, values, at[6]),
    )


@cfunc(_LOGP, cache=True, error_model="numpy")
def logp_callback(size, z_, gradient_, value_, block_):
    """Compute log density and gradient in a frame's coordinates; 0, or a code where they are not finite."""
    length = carray(block_, (1,), np.int64)[0]
    words = carray(block_, (length,), np.int64)
    values = carray(block_, (length,), np.float64)
    frame = unpack_frame(words, values)
    gradient = carray(gradient_, (size,))
    value = carray(value_, (1,))
    x, work = np.empty(gradient.size), np.empty(gradient.size)
    from_frame(carray(z_, (size,)), x, work, frame)
    value[0] = informed_density(x, gradient, work, unpack(words, values))
    to_frame_gradient(gradient, work, frame)
    if not np.isfinite(value[0]):
        return NOT_FINITE
    for g in gradient:
        if not np.isfinite(g):
            return NOT_FINITE
    return 0


@cfunc(_EXPAND, cache=True, error_model="numpy")
def expand_callback(size, expanded, z_, out_, block_):
    """Compute the coordinates that the data inform, which chains are kept in; 0."""
    length = carray(block_, (1,), np.int64)[0]
    words = carray(block_, (length,), np.int64)
    values = carray(block_, (length,), np.float64)
    out = carray(out_, (expanded,))
    from_frame(carray(z_, (size,)), out, np.empty(out.size), unpack_frame(words, values))
    return 0
