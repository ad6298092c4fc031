// The page's state, its controls, and what each plot shows.

const $ = (id) => document.getElementById(id);
const some = (value, said) => value === null || value === undefined ? "–" : said(value);

function rate(bits) {
  if (bits >= 999.5e6) return `${Number((bits / 1e9).toPrecision(2))} Gbit/s`;
  if (bits >= 999.5e3) return `${Number((bits / 1e6).toPrecision(bits >= 99.5e6 ? 3 : 2))} Mbit/s`;
  return `${Number((bits / 1e3).toPrecision(bits >= 99.5e3 ? 3 : 2))} kbit/s`;
}

function ms(value) {
  if (value >= 999.5) return `${(value / 1e3).toFixed(value < 9995 ? 2 : 1)} s`;
  return value >= 9.95 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`;
}

function tickMs(value) {
  return value >= 1000 ? `${value / 1000} s` : `${value} ms`;
}

function bytes(value) {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} MB`;
  return value >= 1e3 ? `${Number((value / 1e3).toPrecision(3))} kB` : `${Math.round(value)} B`;
}

const percent = (share) => `${Number((share * 100).toFixed(share > 0.995 && share < 1 ? 1 : 0))}%`;

let setting = null;
let events = [];

// Boundaries get their colours in the order in which they first appear, and keep them.
const coloured = new Map();
function look(route) {
  if (!/^b\d+$/.test(route)) return route;
  if (!coloured.has(route)) coloured.set(route, `b${coloured.size % 4}`);
  return coloured.get(route);
}

// Bottom to top: what stays on the edge, then cuts from late to early, the cloud, and what went wrong.
function order(route) {
  const place = { edge: 0, exit: 1, cloud: 1000, race: 1001, fallback: 1002 }[route];
  return place ?? 999 - Number(route.slice(1));
}

const named = (route) => ({ edge: "edge", exit: "exit", cloud: "cloud" })[route] ?? route;

function routes() {
  const all = new Set(events.flatMap((event) => Object.keys(event.recent.shares)));
  return [...all].sort((a, b) => order(a) - order(b));
}

function shares(frame) {
  const y = scale(0, 1, frame.height - SIZE.bottom, SIZE.top, false);
  frame.axis({ ...y, ticks: [0, 0.25, 0.5, 0.75, 1] }, percent);
  const below = new Map();
  const latest = events[events.length - 1];
  for (const route of routes()) {
    const share = (event) => event.recent.shares[route] ?? 0;
    const low = (event) => below.get(event.seq) ?? 0;
    const high = (event) => low(event) + share(event);
    frame.area(`x-${look(route)}`, low, high, y);
    frame.inside(named(route), low, high, y);
    if (share(latest) > 0) {
      const middle = y.at((low(latest) + high(latest)) / 2);
      frame.label(`x-${look(route)}`, middle, `${named(route)} ${percent(share(latest))}`, share(latest) > 0.5);
    }
    for (const event of events) below.set(event.seq, high(event));
  }
  frame.settle();
}

// The best split has the colour of its boundary now.
const split = () => look(events[events.length - 1]?.predicted.split ?? "b1");

const CURVES = [
  ["edge", "guess", "all-edge", (event) => event.predicted.edge_ms],
  ["cloud", "guess", "all-cloud", (event) => event.predicted.cloud_ms],
  [split, "guess", "best split", (event) => event.predicted.split_ms],
  ["ink", "thin", "p95", (event) => event.recent.p95_ms],
  ["ink", "", "p50", (event) => event.recent.p50_ms],
];

function latency(frame) {
  const all = CURVES.flatMap(([, , , value]) => events.map(value)).filter((value) => value > 0);
  const least = Math.min(10, ...all);
  const low = [5, 2, 1].map((step) => step * 10 ** Math.floor(Math.log10(least))).find((it) => it <= least);
  const high = Math.max(1000, ...all);
  const y = scale(low, high * 1.15, frame.height - SIZE.bottom, SIZE.top, true);
  frame.axis(y, tickMs);
  const latest = events[events.length - 1];
  for (const [colour, kind, label, value] of CURVES) {
    const name = typeof colour === "string" ? colour : colour();
    frame.curve(`x-${name} ${kind}`, y, value);
    const now = value(latest);
    if (now) {
      const said = label === "best split" ? `${latest.predicted.split} ${ms(now)}` : `${label} ${ms(now)}`;
      frame.label(`x-${name}`, y.at(now), said, label === "p50");
    }
  }
  frame.settle();
}

function link(frame) {
  const middle = frame.height / 2;
  const { rate_bps, rtt_ms } = setting.bounds;
  const latest = events[events.length - 1].link;
  const above = scale(...rate_bps, middle - 12, SIZE.top + 4, true);
  frame.axis({ ...above, ticks: [1e5, 1e6, 1e7, 1e8, 1e9] }, (value) => rate(value).replace("bit/s", "b/s"));
  const drawn = (event) => event.link.plugged && event.link.rate_bps > 0 ? event.link.rate_bps : null;
  frame.curve("x-ink", above, drawn);
  frame.label("x-ink", above.at(latest.rate_bps), latest.plugged ? rate(latest.rate_bps) : "unplugged", true);
  frame.settle(SIZE.top + 4, middle - 12);
  const below = scale(...rtt_ms, frame.height - SIZE.bottom, middle + 12, true);
  frame.axis({ ...below, ticks: [1, 10, 100] }, tickMs);
  frame.curve("x-accent", below, (event) => event.link.plugged ? event.link.rtt_ms : null);
  frame.label("x-accent", below.at(latest.rtt_ms), `RTT ${ms(latest.rtt_ms)}`, true);
  frame.settle(middle + 12);
}

function sent(frame) {
  const all = events.map((event) => event.recent.bytes ?? 0);
  const y = scale(0, Math.max(1000, ...all) * 1.08, frame.height - SIZE.bottom, SIZE.top, false);
  frame.axis(y, bytes);
  frame.curve("x-ink", y, (event) => event.recent.bytes);
  const latest = events[events.length - 1].recent.bytes;
  if (latest !== null) frame.label("x-ink", y.at(latest), `${bytes(latest)}`, true);
  frame.settle();
}

function plots() {
  new Plot($("shares"), {
    height: 270, draw: shares, label: "Share of answers by who made them, over the last minute",
    read: (event) => routes().reverse().map((route) => [look(route), named(route), percent(event.recent.shares[route] ?? 0)]),
  });
  new Plot($("latency"), {
    height: 270, draw: latency, label: "Latency measured, and predicted for alternatives, over the last minute",
    read: (event) => CURVES.map(([name, kind, label, value]) => {
      const form = { "all-cloud": event.predicted.cloud_as, "best split": event.predicted.split && `${event.predicted.split}, ${event.predicted.split_as}` }[label];
      return [typeof name === "string" ? name : name(), kind === "guess" ? `${label}${form ? ` (${form})` : ""}, predicted` : label, some(value(event), ms)];
    }),
  });
  new Plot($("link"), {
    height: 220, draw: link, label: "Rate and round-trip time of the emulated link over the last minute",
    read: ({ link }) => [["ink", "rate", link.plugged ? rate(link.rate_bps) : "unplugged"], ["accent", "round trip", ms(link.rtt_ms)]],
  });
  new Plot($("bytes"), {
    height: 220, draw: sent, label: "Bytes shipped per request over the last minute",
    read: (event) => [["ink", "per request", some(event.recent.bytes, bytes)]],
  });
}

function facts({ recent, totals, link }) {
  const exits = recent.shares.exit ?? 0;
  const spent = [recent.edge_ms, recent.network_ms, recent.cloud_ms];
  const rows = [
    ["median, p95", `${some(recent.p50_ms, ms)}, ${some(recent.p95_ms, ms)}`, "measured"],
    ["time spent", spent.map((value) => some(value, (it) => Math.round(it))).join(" + ") + " ms", "edge + network + cloud, mean"],
    ["shipped", some(recent.bytes, bytes), recent.usual?.codec ? `per request; mostly ${recent.usual.codec}` : "per request"],
    ["agreement", some(recent.agreement, percent), "with the whole model"],
    ["early exits", recent.answered ? percent(exits) : "–", "of the answers"],
    ["answered", `${totals.answered} of ${totals.sent}`, `${totals.in_flight} under way`],
    ["refused, failed", `${totals.refused}, ${totals.failed}`, "since the start"],
    ["the cloud", link.connected ? "connected" : "away", "as the edge sees it"],
  ];
  $("facts").replaceChildren(...rows.map(([name, value, note]) =>
    html("div", "", html("dt", "", name), html("dd", "", value, html("small", "", note)))));
}

// Sliders: places 0 to 1000, values in even factors.
const SLIDERS = {
  rate: { key: "rate_bps", said: rate, of: (event) => event.link.rate_bps },
  rtt: { key: "rtt_ms", said: ms, of: (event) => event.link.rtt_ms },
  load: { key: "requests_per_second", said: (value) => `${Number(value.toPrecision(2))} per s`, of: (event) => event.requests_per_second },
};

function value(name) {
  const [least, most] = setting.bounds[SLIDERS[name].key];
  return least * (most / least) ** (Number($(name).value) / 1000);
}

function place(name, now) {
  const [least, most] = setting.bounds[SLIDERS[name].key];
  $(name).value = Math.round(1000 * Math.log(Math.max(now, least) / least) / Math.log(most / least));
  say(name, now);
}

function say(name, now) {
  $(`${name}-said`).value = SLIDERS[name].said(now);
  $(name).setAttribute("aria-valuetext", SLIDERS[name].said(now));
}

// One change is on its way at a time; those that come meanwhile are joined.
let wanted = null;
let touched = 0;
async function change(what) {
  touched = Date.now();
  const is_busy = wanted !== null;
  wanted = { ...wanted, ...what };
  if (is_busy) return;
  while (Object.keys(wanted).length > 0) {
    const body = JSON.stringify(wanted);
    wanted = {};
    try {
      const answer = await fetch("/link", { method: "POST", headers: { "content-type": "application/json" }, body });
      trouble(answer.ok ? "" : await answer.text());
    } catch {
      trouble("the demo does not answer");
    }
    await new Promise((done) => setTimeout(done, 60));
  }
  wanted = null;
  touched = Date.now();
}

function trouble(text) {
  $("trouble").hidden = text === "";
  $("trouble").textContent = text;
}

function controls() {
  for (const name of Object.keys(SLIDERS)) {
    const { key, said } = SLIDERS[name];
    const [least, most] = setting.bounds[key];
    $(`${name}-least`).textContent = said(least);
    $(`${name}-most`).textContent = said(most);
    $(name).addEventListener("input", () => {
      say(name, value(name));
      change({ [key]: Math.min(Math.max(value(name), least), most) });
    });
  }
  $("plug").addEventListener("click", () => change({ plugged: $("plug").getAttribute("aria-pressed") === "true" }));
  $("controls").addEventListener("submit", (event) => event.preventDefault());
}

let announced = "";
function show(event) {
  $("now").textContent = event.now;
  const route = event.now.split(":")[0];
  if (route !== announced) $("announce").textContent = announced = route;
  $("plug").setAttribute("aria-pressed", String(!event.link.plugged));
  $("plug").textContent = event.link.plugged ? "Pull the plug" : "Plug it in again";
  $("plug-said").textContent = !event.link.plugged ? "nothing gets through" : event.link.traced ? "follows a trace" : "the link carries";
  // A slider that is being dragged is ahead of what comes back.
  if (Date.now() - touched > 600) Object.keys(SLIDERS).forEach((name) => place(name, SLIDERS[name].of(event)));
  facts(event);
  Plot.show(events);
}

// What the newest request could have done; the first is what it did.
function reasons(why) {
  const said = why === null ? ["the edge has no plan yet"] : why.split("; ");
  $("why").replaceChildren(...said.map((line) => html("li", "", line)));
}

function take({ event, why }) {
  reasons(why);
  if (events.length > 0 && event.seq <= events[events.length - 1].seq) return;
  events = [...events, event].slice(-setting.kept);
  show(event);
}

async function begin() {
  const state = await (await fetch("/state")).json();
  const is_first = setting === null;
  ({ setting, events } = state);
  reasons(state.why);
  if (is_first) {
    $("slowdown").textContent = `${setting.slowdown}×`;
    const trace = setting.trace ? `; trace ${setting.trace}` : "";
    $("setting").textContent = `Model ${setting.model}, b0 to b${setting.last}, ${setting.inputs}; edge: ${setting.edge_engine}; cloud: ${setting.cloud_engine}; race: ${setting.race}${trace}.`;
    document.querySelectorAll(".recent").forEach((place) => { place.textContent = setting.recent; });
    controls();
    plots();
  }
  if (events.length > 0) show(events[events.length - 1]);
}

function listen() {
  const stream = new EventSource("/events");
  // After a pause what was missed comes from the history.
  stream.onopen = () => begin().then(() => trouble(""));
  stream.onmessage = (message) => { if (setting) take(JSON.parse(message.data)); };
  stream.onerror = () => trouble("the demo has ended, or is out of reach; trying again");
}

listen();
