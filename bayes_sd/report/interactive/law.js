"use strict";
// Latency of one server in one draw: the queue laws of bayes_sd/latency/queue and the percentiles of bayes_sd/latency/tails.
// A server is {S, top, E, held, own, luck}: S[n] the service curve in seconds at n = 1..top, top the most requests that run.

/** Straight between points; beyond the last one, on with its slope. */
function between(points, values, start, n, from = 1) {
  let j = from;
  while (j < points.length - 1 && points[j] < n) j++;
  const share = (n - points[j - 1]) / (points[j] - points[j - 1]);
  return values[start + j - 1] + share * (values[start + j] - values[start + j - 1]);
}

/** Steady state of an open loop with Poisson arrivals: means, and the spread of the requests that run. */
function poisson(server, rate, cv) {
  const { S, top } = server, limit = top / S[top], load = rate / limit;
  if (!(load < 1)) return { stable: false, limit, latency: Infinity };
  let weight = 1, total = 1, first = 0, second = 0;
  for (let n = 1; n <= top; n++) {
    weight *= rate * S[n] / n;
    total += weight; first += n * weight; second += n * n * weight;
    if (total > 1e250) { weight /= 1e250; total /= 1e250; first /= 1e250; second /= 1e250; }
  }
  // From the cap on the ratio of neighbours stays: a geometric tail.
  const tail = weight * load / (1 - load), whole = total + tail;
  const running = (first + top * tail) / whole, square = (second + top * top * tail) / whole;
  const waiting = 0.5 * (1 + cv * cv) * tail / (1 - load) / whole;
  const present = running + waiting;
  return { stable: true, limit, present, running, sd: Math.sqrt(Math.max(square - running * running, 0)), latency: present / rate };
}

/** Steady state of an open loop with evenly spaced arrivals: between the two numbers whose throughputs enclose the rate. */
function even(server, rate) {
  const { S, top } = server;
  let limit = 0, below = -1;
  for (let n = 1; n <= top; n++) {
    limit = Math.max(limit, n / S[n]);
    if (below < 0 && limit > rate) below = n - 1;
  }
  if (below < 0) return { stable: false, limit, latency: Infinity };
  const low = below ? below / S[below] : 0, high = (below + 1) / S[below + 1];
  const present = below + (rate - low) / (high - low);
  return { stable: true, limit, present, running: present, sd: 0, latency: present / rate };
}

/** A closed loop of clients, of which as many run as the cap and the cache allow. */
function closed(server, clients, cap) {
  const offered = Math.min(clients, cap);
  const running = offered * (1 + (offered / server.held) ** 12) ** (-1 / 12);
  const service = server.at(running);
  return { stable: true, running, present: clients, service, latency: service * clients / running };
}

// ---- percentiles of single requests

function erf(x) { // Abramowitz and Stegun 7.1.26 is too coarse for tails: a series near 0, a continued fraction beyond.
  const a = Math.abs(x);
  if (a < 2.5) {
    let term = a, sum = a;
    for (let n = 1; n < 60; n++) { term *= -a * a / n; sum += term / (2 * n + 1); }
    return Math.sign(x) * 2 / Math.sqrt(Math.PI) * sum;
  }
  let fraction = 0;
  for (let n = 40; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}
const normal = (z) => 0.5 * (1 + erf(z / Math.SQRT2));

/** Tokens committed in a cycle at acceptance alpha of every draft token: mean, variance, and d log mean / d log odds. */
function drafts(alpha, k) {
  let mean = 1, square = 1, slope = 0, survival = 1;
  for (let j = 1; j <= k; j++) {
    survival *= alpha;
    mean += survival; square += (2 * j + 1) * survival; slope += j * survival;
  }
  return { mean, variance: square - mean * mean, elasticity: slope * (1 - alpha) / mean };
}

/** Sd of the log of a request's work: lengths, luck of its drafts, and how easy it is to draft for. */
function workSpread(E, k, output, lengthCv, luck) {
  let variance = Math.log1p(lengthCv * lengthCv);
  if (k > 0) {
    let low = 0, high = 1;
    for (let i = 0; i < 40; i++) { const a = (low + high) / 2; if (drafts(a, k).mean < E) low = a; else high = a; }
    const law = drafts(low, k);
    variance += law.variance / (E * output) + (law.elasticity * luck) ** 2;
  }
  return Math.sqrt(variance);
}
const cvOf = (logSd) => Math.sqrt(Math.expm1(logSd * logSd));

function averaging(work, memory) {
  const r = Math.max(work / memory, 1e-6);
  return 2 * (r + Math.expm1(-r)) / (r * r);
}

function sharedSpread(z, work, company, memory) {
  const v = work * work;
  let total = Math.sqrt(v + company * company * averaging(1, memory));
  for (let i = 0; i < 2; i++) {
    const typical = Math.exp(-0.5 * v + z * v / Math.max(total, 1e-9));
    total = Math.sqrt(v + company * company * averaging(typical, memory));
  }
  return total;
}

/** Percentile of a mixture of shifted log-normal laws. */
function mixture(level, z, parts, logSd) {
  const sigma = Math.max(logSd, 1e-3), size = Math.exp(-0.5 * sigma * sigma + z * sigma);
  const own = parts.map((p) => p.start + p.scale * size);
  let low = Math.min(...own), high = Math.max(...own);
  for (let i = 0; parts.length > 1 && i < 24; i++) {
    const guess = (low + high) / 2;
    let below = 0;
    for (const p of parts) {
      const past = Math.max(guess - p.start, 1e-300);
      below += p.weight * normal((Math.log(past) - Math.log(p.scale) + 0.5 * sigma * sigma) / sigma);
    }
    if (below < level) low = guess; else high = guess;
  }
  return (low + high) / 2;
}

function closedPercentile(level, z, server, law, clients, work) {
  const own = Math.min(server.own, 0.9 * law.service), rest = law.service - own;
  const waiting = Math.max(clients - law.running, 0), turn = law.service / law.running;
  const company = cvOf(work) * Math.sqrt(waiting) * turn / rest;
  return mixture(level, z, [{ weight: 1, start: own + waiting * turn, scale: rest }], sharedSpread(z, work, company, 1e6));
}

function openPercentile(level, z, server, law, rate, isPoisson, work, wait) {
  if (!law.stable) return Infinity;
  const { S, top } = server, cv = cvOf(work), mean = Math.min(Math.max(law.running, 1), top);
  const reach = Math.max(law.sd, 1), clip = (n) => Math.min(Math.max(n, 1), top);
  let low = clip(Math.floor(mean - reach));
  const high = clip(Math.ceil(mean + reach));
  if (high === low) low = Math.max(low - 1, 1);
  const slope = Math.max(S[high] - S[low], 0) / Math.max(high - low, 1);
  const feedback = Math.min(Math.max(rate * slope, 0), 0.98);
  let spread = law.sd;
  if (!isPoisson) {
    const light = erf(work / 2), heavy = -Math.expm1(-work * work);
    spread = Math.sqrt(mean * (light + (heavy - light) * feedback) / (1 - feedback));
  }
  const queued = Math.max(law.present - law.running, 0), waited = queued / rate;
  const own = Math.min(server.own, 0.9 * (law.latency - waited)), rest = law.latency - waited - own;
  const memory = 0.5 * (1 + cv * cv) / Math.max(1 - feedback, 0.02);
  const logSd = sharedSpread(z, work, slope * spread / rest, memory);
  const load = Math.min(rate / law.limit, 1 - 1e-9), factor = 0.5 * (1 + cv * cv);
  const full = Math.min(Math.max(queued * (1 - load) / (load * factor), 0), 1);
  if (!isPoisson || !(full > wait.least)) return mixture(level, z, [{ weight: 1, start: own + waited, scale: rest }], logSd);
  const meanWait = factor / Math.max(law.limit - rate, 1e-9 * law.limit);
  const inFull = Math.max(top / law.limit - own, rest);
  const others = Math.min(Math.max((rest - full * inFull) / Math.max(1 - full, 1e-6), 0.2 * rest), rest);
  const parts = [{ weight: 1 - full, start: own, scale: others }];
  wait.nodes.forEach((node, i) => parts.push({ weight: full * wait.weights[i], start: own + meanWait * node, scale: inFull }));
  return mixture(level, z, parts, logSd);
}
