// The page: reads the controls, computes with law.js, and shows the answer, two charts and a table.
const DATA = JSON.parse(document.getElementById("about").textContent);
const CODES = unpack(document.getElementById("draws").textContent);
const CURVE = DATA.points[0].length, WIDTH = CURVE + DATA.prefill_points.length + DATA.scalars.length;
const SIZES = Float64Array.from({ length: 65536 }, (_, c) => (c ? Math.exp(DATA.low + DATA.step * (c - 1)) : 0));
const $ = (id) => document.getElementById(id);
const N_LOADS = 36;

function unpack(text) {
  const bytes = atob(text), codes = new Uint16Array(bytes.length / 2);
  for (let i = 0; i < codes.length; i++) codes[i] = bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8);
  return codes;
}

/** All draws of one draft length at the lengths asked for. */
function drawsOf(asked, which) {
  const k = DATA.draft_lengths[which], place = (asked.prompt * DATA.output.length + asked.output) * DATA.draft_lengths.length + which;
  const stated = k && asked.alpha !== null ? drafts(asked.alpha, k).mean : null;
  const servers = [];
  for (let d = 0; d < DATA.draws; d++) {
    const fields = Array.from(CODES.subarray((place * DATA.draws + d) * WIDTH, (place * DATA.draws + d + 1) * WIDTH), (c) => SIZES[c]);
    const from = CURVE + DATA.prefill_points.length;
    const one = Object.fromEntries(DATA.scalars.map((name, i) => [name, fields[from + i]]));
    if (stated !== null) one.committed = stated;
    one.at = (n) => between(DATA.prefill_points, fields, CURVE, n) + between(DATA.points[which], fields, 0, n) / one.committed;
    one.top = Math.min(Math.floor(Math.max(one.held, 1)), DATA.most);
    one.S = new Float64Array(one.top + 1);
    for (let n = 1; n <= one.top; n++) one.S[n] = one.at(n);
    one.work = workSpread(one.committed, k, DATA.output[asked.output], one.length_cv, one.luck);
    one.cv = cvOf(one.work);
    servers.push(one);
  }
  return servers;
}

let kept = { key: "", servers: [] };
function serversFor(asked) {
  const key = [asked.prompt, asked.output, asked.alpha].join();
  if (kept.key !== key) kept = { key, servers: DATA.draft_lengths.map((_, which) => drawsOf(asked, which)) };
  return kept.servers;
}

function lawOf(one, loop, load) {
  if (loop === "closed") return closed(one, load, DATA.cap ?? Infinity);
  return loop === "poisson" ? poisson(one, load, one.cv) : even(one, load);
}

const latencies = (servers, loop, load) => Float64Array.from(servers, (one) => lawOf(one, loop, load).latency * one.misfit);

/** Share of draws that hold the objective. */
function holds(servers, asked) {
  const z = DATA.levels[asked.statistic];
  const held = servers.filter((one) => {
    const law = lawOf(one, asked.loop, asked.load);
    if (!law.stable) return false;
    if (!z) return law.latency * one.misfit <= asked.slo;
    const time = asked.loop === "closed"
      ? closedPercentile(z[0], z[1], one, law, asked.load, one.work)
      : openPercentile(z[0], z[1], one, law, asked.load, asked.loop === "poisson", one.work, DATA.wait);
    return time * one.misfit <= asked.slo;
  });
  return held.length / servers.length;
}

/** Lower end, median and upper end; each is one of the draws. */
function band(values) {
  const sorted = Float64Array.from(values).sort();
  return [0.05, 0.5, 0.95].map((q) => sorted[Math.max(Math.ceil(q * sorted.length - 1e-9) - 1, 0)]);
}

/** Speedup of one server over another: band and probability, over the draws in which one of them keeps up. */
function compare(plain, other) {
  const ratios = Array.from(plain, (time, d) => time / other[d]).filter((r) => !Number.isNaN(r));
  if (ratios.length < 0.5 * plain.length) return { band: [NaN, NaN, NaN], faster: NaN };
  return { band: band(ratios), faster: ratios.filter((r) => r > 1).length / ratios.length };
}

/** Of each draft length: how probably it is best, and what share of the attainable speed it gives away. */
function judge(times) {
  const best = times.map(() => 0), lost = times.map(() => 0);
  let n = 0;
  for (let d = 0; d < DATA.draws; d++) {
    const own = times.map((t) => t[d]), least = Math.min(...own);
    if (!Number.isFinite(least)) continue;
    n++; best[own.indexOf(least)]++;
    own.forEach((time, i) => { lost[i] += 1 - least / time; });
  }
  const share = n < 0.5 * DATA.draws ? NaN : n;
  return times.map((_, i) => ({ best: best[i] / share, lost: lost[i] / share }));
}

// ---- words

const three = (x) => (x >= 1000 ? Math.round(x).toString() : Number(x.toPrecision(3)).toString());
const seconds = (x) => (!Number.isFinite(x) ? "saturated" : x < 1 ? `${three(1000 * x)}\u00a0ms` : `${three(x)}\u00a0s`);
const ratio = (x) => (Number.isNaN(x) ? "–" : x === Infinity ? "∞" : x.toFixed(2));
const percent = (p) => (Number.isNaN(p) ? "–" : p > 0.99 && p < 1 ? ">99\u00a0%" : p > 0 && p < 0.01 ? "<1\u00a0%" : `${Math.round(100 * p)}\u00a0%`);
const interval = (b, form) => `<b>${form(b[1])}</b> <small>[${form(b[0])}, ${form(b[2])}]</small>`;

function answer(asked, rows, chosen) {
  const plain = rows[0], one = rows[chosen], k = DATA.draft_lengths[chosen];
  const best = rows.reduce((a, b) => (b.lost < a.lost ? b : a));
  const unit = asked.loop === "closed" ? "clients" : "requests/s";
  const where = `At ${three(asked.load)} ${unit}, ${DATA.prompt[asked.prompt]} prompt and ${DATA.output[asked.output]} output tokens`;
  if (Number.isNaN(one.faster)) return `<b>${where}: neither server keeps up.</b> With and without speculation (k = ${k}) requests pile up.`;
  const verdict = one.faster >= 0.9 ? `Speculate with k = ${k}` : one.faster <= 0.1 ? `Do not speculate with k = ${k}` : `Whether k = ${k} helps is open`;
  const choice = best.k ? `k = ${best.k}` : "no speculation";
  return `<b>${verdict}.</b> ${where} it is faster with probability <b>${percent(one.faster)}</b>: mean latency ${interval(one.time, seconds)}
    with it, ${interval(plain.time, seconds)} without, speedup ${interval(one.speedup, ratio)}. The safest choice at this load is <b>${choice}</b>
    (best with probability ${percent(best.best)}, loses ${percent(best.lost)} of the speed on average).
    ${$("statistic").selectedOptions[0].textContent} below ${seconds(asked.slo)}: probability <b>${percent(one.held)}</b> with it, <b>${percent(plain.held)}</b> without.`;
}

function fillTable(rows, chosen) {
  const safe = rows.reduce((a, b) => (b.lost < a.lost ? b : a));
  const cell = (name, value, shown, more = "") => `<td data-name="${name}" data-value="${value}"${more}>${shown}</td>`;
  $("table").tBodies[0].innerHTML = rows.map((row, i) => {
    const speedup = row.k ? interval(row.speedup, ratio) : "1";
    const bar = `<span class="bar" style="width:${100 * (row.best || 0)}%"></span>`;
    return `<tr class="${i === chosen ? "chosen" : ""} ${row === safe ? "best" : ""}"><td>${row.k || "0"}</td>`
      + cell("latency", row.time, interval(row.time, seconds)) + cell("speedup", row.speedup, speedup)
      + cell("best", row.best, percent(row.best) + bar) + cell("lost", row.lost, percent(row.lost), ' class="more"')
      + cell("held", row.held, percent(row.held)) + "</tr>";
  }).join("");
}

// ---- pictures

function ticks(low, high, logarithmic, most) {
  if (logarithmic) {
    const all = [];
    for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++) for (const m of [1, 2, 5]) all.push(m * 10 ** p);
    return all.filter((t) => t >= low && t <= high);
  }
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((m) => m * power >= raw) * power, found = [];
  for (let t = Math.ceil(low / step) * step; t <= high * (1 + 1e-9); t += step) found.push(Number(t.toPrecision(12)));
  return found;
}

/** Bands and lines over load; every curve is {x, low, mid, high, colour, dash, name}. */
function draw(id, curves, axes) {
  const wide = Math.max($(id).clientWidth, 280), tall = axes.tall, left = 56, right = 12, top = 10, bottom = 42;
  const X = (x) => left + (x - axes.x[0]) / (axes.x[1] - axes.x[0]) * (wide - left - right);
  const up = axes.log ? Math.log : (v) => v;
  const Y = (y) => tall - bottom - (up(Math.min(Math.max(y, axes.y[0]), axes.y[1])) - up(axes.y[0])) / (up(axes.y[1]) - up(axes.y[0])) * (tall - top - bottom);
  const line = (x1, y1, x2, y2, style) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" style="${style}"/>`;
  const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const parts = [];
  for (const t of ticks(...axes.y, axes.log, 5)) parts.push(line(left, Y(t), wide - right, Y(t), "stroke:var(--grid)"), `<text x="${left - 6}" y="${Y(t) + 4}" text-anchor="end">${axes.write(t)}</text>`);
  for (const t of ticks(...axes.x, false, wide / 90)) parts.push(`<text x="${X(t)}" y="${tall - bottom + 17}" text-anchor="middle">${three(t)}</text>`);
  parts.push(`<text x="${(left + wide - right) / 2}" y="${tall - 6}" text-anchor="middle">${axes.label}</text>`);
  for (const c of curves) {
    const shown = c.x.map((_, i) => i).filter((i) => Number.isFinite(c.mid[i]));
    if (!shown.length) continue;
    if (c.low) parts.push(`<path d="${path([...shown.map((i) => [X(c.x[i]), Y(c.high[i])]), ...shown.toReversed().map((i) => [X(c.x[i]), Y(c.low[i])])])}Z" style="fill:${c.colour};opacity:.25"/>`);
    parts.push(`<path d="${path(shown.map((i) => [X(c.x[i]), Y(c.mid[i])]))}" style="fill:none;stroke:${c.colour};stroke-width:2.2;stroke-dasharray:${c.dash}"/>`);
  }
  for (const mark of axes.marks) {
    if (mark.y !== undefined && mark.y >= axes.y[0] && mark.y <= axes.y[1]) parts.push(line(left, Y(mark.y), wide - right, Y(mark.y), `stroke:${mark.colour};stroke-dasharray:2 4;stroke-width:2`), `<text x="${wide - right}" y="${Y(mark.y) - 5}" text-anchor="end" style="fill:${mark.colour}">${mark.name}</text>`);
    if (mark.x !== undefined && mark.x >= axes.x[0] && mark.x <= axes.x[1]) parts.push(line(X(mark.x), top, X(mark.x), tall - bottom, `stroke:${mark.colour};stroke-width:1.5`));
  }
  parts.push(line(left, tall - bottom, wide - right, tall - bottom, "stroke:var(--line)"));
  curves.filter((c) => c.name).forEach((c, i) => parts.push(line(left + 8, top + 10 + 18 * i, left + 34, top + 10 + 18 * i, `stroke:${c.colour};stroke-width:2.2;stroke-dasharray:${c.dash}`), `<text class="name" x="${left + 40}" y="${top + 14 + 18 * i}" style="fill:${c.colour}">${c.name}</text>`));
  $(id).innerHTML = `<svg viewBox="0 0 ${wide} ${tall}" height="${tall}" aria-hidden="true">${parts.join("")}</svg>`;
}

function pictures(asked, servers, chosen) {
  const two = [servers[0], servers[chosen]], loop = asked.loop;
  const most = loop === "closed" ? DATA.most : 1.03 * Math.max(...two.map((s) => band(s.map((one) => one.top / one.S[one.top]))[1]));
  const loads = loop === "closed"
    ? [...new Set(Array.from({ length: N_LOADS }, (_, i) => Math.round(DATA.most ** (i / (N_LOADS - 1)))))]
    : Array.from({ length: N_LOADS }, (_, i) => (i + 1) / N_LOADS * most);
  const times = two.map((s) => loads.map((load) => latencies(s, loop, load)));
  const bands = times.map((t) => t.map(band));
  const finite = bands.flat(2).filter(Number.isFinite), floor = Math.min(...finite) / 1.25;
  const curve = (b, colour, dash, name) => ({ x: loads, low: b.map((v) => v[0]), mid: b.map((v) => v[1]), high: b.map((v) => v[2]), colour, dash, name });
  const label = loop === "closed" ? "clients" : "requests a second", here = { x: asked.load, colour: "var(--quiet)" };
  draw("latency", [curve(bands[0], "var(--plain)", "7 4", "without speculation"), curve(bands[1], "var(--spec)", "none", `k = ${DATA.draft_lengths[chosen]}`)], {
    x: [0, most], y: [floor, Math.min(Math.max(...finite) * 1.1, 20 * floor)], log: true, tall: 300, label, write: seconds,
    marks: [here, ...(asked.statistic === "mean" ? [{ y: asked.slo, colour: "var(--objective)", name: "objective" }] : [])],
  });
  const faster = loads.map((_, i) => compare(times[0][i], times[1][i]).faster);
  draw("faster", [{ x: loads, mid: faster, colour: "var(--spec)", dash: "none" }], {
    x: [0, most], y: [0, 1], log: false, tall: 170, label, write: percent, marks: [here],
  });
}

// ---- controls

const onScale = ([low, high], share) => Number((low * (high / low) ** share).toPrecision(3));
const shareOf = ([low, high], value) => Math.log(Math.min(Math.max(value, low), high) / low) / Math.log(high / low);
const scales = { load: [1, 2], slo: [0.05, 120] };

function setScale() {
  const is = $("loop").value === "closed";
  $("load-label").textContent = is ? "Clients" : "Requests a second";
  scales.load = is ? [1, DATA.most] : DATA.rates;
  $("load").step = is ? "1" : "any";
}

function pair(name) {
  const slider = $(`${name}-slider`), box = $(name);
  slider.addEventListener("input", () => {
    const value = onScale(scales[name], slider.value / 400);
    box.value = name === "load" && $("loop").value === "closed" ? Math.round(value) : value;
    soon();
  });
  box.addEventListener("input", () => { if (box.value > 0) { slider.value = 400 * shareOf(scales[name], box.value); soon(); } });
}

function asked() {
  const loop = $("loop").value, load = loop === "closed" ? Math.min(Math.max(Math.round($("load").value), 1), DATA.most) : Number($("load").value);
  return { loop, load, prompt: Number($("prompt").value), output: Number($("output").value), k: Number($("k").value),
    alpha: $("learned").checked ? null : Number($("alpha").value), statistic: $("statistic").value, slo: Number($("slo").value) };
}

let speaking = 0, waiting = 0;
function show() {
  waiting = 0;
  const now = asked(), servers = serversFor(now), chosen = DATA.draft_lengths.indexOf(now.k);
  for (const [id, words] of Object.entries({ prompt: `${DATA.prompt[now.prompt]} tokens`, output: `${DATA.output[now.output]} tokens`, k: `${now.k}`, alpha: Number($("alpha").value).toFixed(2) })) {
    $(`${id}-text`).textContent = words;
    $(id).setAttribute("aria-valuetext", words);
  }
  $("load-slider").setAttribute("aria-valuetext", three(now.load));
  $("slo-slider").setAttribute("aria-valuetext", seconds(now.slo));
  $("alpha").disabled = $("learned").checked;
  const times = servers.map((s) => latencies(s, now.loop, now.load)), judged = judge(times);
  const rows = times.map((time, i) => {
    const { band: speedup, faster } = compare(times[0], time);
    return { k: DATA.draft_lengths[i], time: band(time), speedup, faster, held: holds(servers[i], now), ...judged[i] };
  });
  $("answer").innerHTML = answer(now, rows, chosen);
  fillTable(rows, chosen);
  pictures(now, servers, chosen);
  clearTimeout(speaking);
  speaking = setTimeout(() => { $("spoken").textContent = $("answer").textContent.replace(/\s+/g, " "); }, 600);
}
function soon() { if (!waiting) waiting = requestAnimationFrame(show); }

function start() {
  const from = DATA.start;
  $("loop").value = from.loop;
  setScale();
  $("load").value = from.load;
  $("load-slider").value = 400 * shareOf(scales.load, from.load);
  $("slo").value = from.slo;
  $("slo-slider").value = 400 * shareOf(scales.slo, from.slo);
  $("prompt").max = DATA.prompt.length - 1; $("prompt").value = from.prompt;
  $("output").max = DATA.output.length - 1; $("output").value = from.output;
  $("k").max = Math.max(...DATA.draft_lengths); $("k").value = from.k;
  $("alpha").value = from.alpha;
  pair("load"); pair("slo");
  $("loop").addEventListener("change", () => {
    setScale();
    $("load").value = $("loop").value === "closed" ? Math.min(8, DATA.most) : from.load;
    $("load-slider").value = 400 * shareOf(scales.load, $("load").value);
    soon();
  });
  for (const id of ["prompt", "output", "k", "alpha", "learned", "statistic"]) $(id).addEventListener("input", soon);
  addEventListener("resize", soon);
  show();
}
start();
