// Plots of the last minute, as SVG. Everything that comes from outside enters as text.

const SVG = "http://www.w3.org/2000/svg";
const SIZE = { width: 590, left: 60, right: 112, top: 12, bottom: 24 };

function make(tag, attributes, ...inside) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

function html(tag, className, ...inside) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...inside);
  return element;
}

const short = (value) => String(Math.round(value * 100) / 100);

// From values to places; logarithmic where `log`.
function scale(low, high, start, end, log) {
  const of = log ? Math.log10 : (value) => value;
  const [a, b] = [of(low), of(high)];
  const at = (value) => start + (of(Math.min(Math.max(value, low), high)) - a) / (b - a || 1) * (end - start);
  const ticks = log ? decades(low, high) : rounds(low, high, 4);
  return { at, ticks };
}

function decades(low, high) {
  const steps = high / low > 150 ? [1] : [1, 2, 5];
  const all = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const step of steps) all.push(step * 10 ** power);
  }
  return all.filter((value) => value >= low * 0.999 && value <= high * 1.001);
}

function rounds(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((by) => by * power).find((by) => by >= rough * 0.999);
  const all = [];
  for (let value = Math.ceil(low / step) * step; value <= high * 1.0001; value += step) all.push(value);
  return all;
}

// A plot in `place`: `draw(frame)` fills it, `read(event)` gives rows of [class, name, value] for a moment.
class Plot {
  static all = [];
  static cursor = null;

  constructor(place, { height, label, draw, read }) {
    Object.assign(this, { place, height, draw, read });
    this.svg = make("svg", { viewBox: `0 0 ${SIZE.width} ${height}`, role: "img", "aria-label": label, tabindex: 0 });
    this.tip = html("div", "tip");
    this.tip.hidden = true;
    place.append(this.svg, this.tip);
    this.svg.addEventListener("pointermove", (pointer) => this.point(pointer));
    for (const leave of ["pointerleave", "blur"]) this.svg.addEventListener(leave, () => Plot.read(null));
    this.svg.addEventListener("keydown", (key) => this.step(key));
    Plot.all.push(this);
  }

  // The cursor is seconds before now, the same in all plots.
  static read(cursor, at) {
    Plot.cursor = cursor === null ? null : { ago: Math.min(Math.max(cursor, 0), 60), at };
    Plot.all.forEach((plot) => plot.redraw());
  }

  static show(events) {
    Plot.events = events;
    Plot.all.forEach((plot) => plot.redraw());
  }

  point(pointer) {
    const box = this.svg.getBoundingClientRect();
    const x = (pointer.clientX - box.left) / box.width * SIZE.width;
    const share = (x - SIZE.left) / (SIZE.width - SIZE.left - SIZE.right);
    Plot.read(share < 0 || share > 1 ? null : 60 * (1 - share), this);
  }

  step(key) {
    const by = { ArrowLeft: 1, ArrowRight: -1 }[key.key];
    if (key.key === "Escape") Plot.read(null);
    if (by === undefined) return;
    key.preventDefault();
    Plot.read((Plot.cursor?.ago ?? 0) + by, this);
  }

  redraw() {
    const events = Plot.events ?? [];
    if (events.length === 0) return;
    const now = events[events.length - 1].at;
    const x = scale(now - 60, now, SIZE.left, SIZE.width - SIZE.right, false).at;
    const frame = new Frame(events, x, this.height);
    frame.background();
    this.draw(frame);
    const moment = Plot.cursor && nearest(events, now - Plot.cursor.ago);
    if (moment) frame.add("line", { class: "cursor", x1: short(x(moment.at)), x2: short(x(moment.at)), y1: SIZE.top, y2: this.height - SIZE.bottom });
    this.svg.replaceChildren(...frame.shapes);
    this.tell(moment, now, x);
  }

  tell(moment, now, x) {
    this.tip.hidden = !moment || Plot.cursor.at !== this;
    if (this.tip.hidden) return;
    const rows = this.read(moment).map(([name, label, value]) => {
      const row = html("tr", "", html("th", "", html("span", `swatch x-${name}`), label), html("td", "", value));
      return row;
    });
    const ago = html("tr", "", html("th", "", `${(now - moment.at).toFixed(1)} s ago`), html("td", ""));
    this.tip.replaceChildren(html("table", "", ago, ...rows));
    // On the other side of the plot.
    const is_left = x(moment.at) < (SIZE.left + SIZE.width - SIZE.right) / 2;
    this.tip.style.left = is_left ? "auto" : `${100 * SIZE.left / SIZE.width}%`;
    this.tip.style.right = is_left ? "0" : "auto";
  }
}

function nearest(events, at) {
  return events.reduce((best, event) => Math.abs(event.at - at) < Math.abs(best.at - at) ? event : best);
}

// What is drawn of one moment's events.
class Frame {
  constructor(events, x, height) {
    Object.assign(this, { events, x, height, shapes: [], labels: [] });
  }

  add(tag, attributes, ...inside) {
    this.shapes.push(make(tag, attributes, ...inside));
  }

  // Seconds below, and grey where the link was unplugged.
  background() {
    const [top, bottom] = [SIZE.top, this.height - SIZE.bottom];
    for (const [first, last] of runs(this.events, (event) => !event.link.plugged)) {
      const from = Math.max(this.x(first.at), SIZE.left);
      const width = short(Math.max(this.x(last.at) - from, 1));
      this.add("rect", { class: "out", x: short(from), y: top, width, height: bottom - top });
      // Areas hide the grey.
      this.add("rect", { class: "out-mark", x: short(from), y: top - 8, width, height: 5 });
    }
    const now = this.events[this.events.length - 1].at;
    for (const ago of [60, 45, 30, 15, 0]) {
      const text = ago === 0 ? "now" : `−${ago} s`;
      this.add("text", { class: "tick", x: short(this.x(now - ago)), y: bottom + 16, "text-anchor": "middle" }, text);
    }
    this.add("line", { class: "axis", x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: bottom, y2: bottom });
  }

  axis(y, said) {
    for (const value of y.ticks) {
      const at = short(y.at(value));
      this.add("line", { class: "grid", x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: at, y2: at });
      this.add("text", { class: "tick", x: SIZE.left - 7, y: Number(at) + 4, "text-anchor": "end" }, said(value));
    }
  }

  // A line through the moments that have a value; `look` is its class.
  curve(look, y, value) {
    const points = this.events.map((event) => [event.at, value(event)]);
    let path = "";
    let broken = true;
    for (const [at, it] of points) {
      if (it === null || it === undefined) { broken = true; continue; }
      path += `${broken ? "M" : "L"}${short(this.x(at))} ${short(y.at(it))}`;
      broken = false;
    }
    if (path) this.add("path", { class: `curve ${look}`, d: path });
  }

  area(look, low, high, y) {
    const some = (event) => high(event) > low(event);
    for (const run of runs(this.events, some, true)) {
      const up = run.map((event) => `${short(this.x(event.at))} ${short(y.at(high(event)))}`);
      const down = run.map((event) => `${short(this.x(event.at))} ${short(y.at(low(event)))}`).reverse();
      this.add("path", { class: `area ${look}`, d: `M${up.concat(down).join("L")}Z` });
    }
  }

  // A name inside an area, in the middle of where it is thick for long.
  inside(text, low, high, y) {
    const thick = runs(this.events, (event) => high(event) - low(event) > 0.2, true);
    const longest = thick.reduce((best, run) => run.length > best.length ? run : best, []);
    const wide = longest.length > 1 ? this.x(longest[longest.length - 1].at) - this.x(longest[0].at) : 0;
    if (wide < 8 * text.length + 10) return;
    const middle = longest[Math.floor(longest.length / 2)];
    const at = { x: short(this.x(middle.at)), y: short(y.at((low(middle) + high(middle)) / 2) + 4) };
    this.names = [...this.names ?? [], make("text", { class: "inside", "text-anchor": "middle", ...at }, text)];
  }

  label(look, y, text, strong) {
    this.labels.push({ look, y, text, strong });
  }

  // Labels beside the newest values, moved apart where they would overlap.
  settle(top = SIZE.top + 4, bottom = this.height - SIZE.bottom) {
    const labels = this.labels.sort((a, b) => a.y - b.y);
    let free = top;
    for (const label of labels) { label.at = Math.max(label.y, free); free = label.at + 14; }
    let end = bottom;
    for (const label of [...labels].reverse()) { label.at = Math.min(label.at, end); end = label.at - 14; }
    const right = SIZE.width - SIZE.right;
    for (const { look, y, at, text, strong } of labels) {
      this.add("path", { class: `curve ${look} leader`, d: `M${right + 1} ${short(y)}L${right + 9} ${short(at)}` });
      this.add("text", { x: right + 13, y: short(at + 4), class: strong ? "strong" : "" }, text);
    }
    this.labels = [];
    this.shapes.push(...this.names ?? []);
  }
}

// Stretches of events that hold; their first and last, or all of them with the one after.
function runs(events, holds, whole = false) {
  const found = [];
  let run = [];
  events.forEach((event, index) => {
    if (holds(event)) run.push(event);
    if (run.length > 0 && (!holds(event) || index === events.length - 1)) {
      if (!holds(event)) run.push(event);
      found.push(whole ? run : [run[0], run[run.length - 1]]);
      run = [];
    }
  });
  return found;
}
