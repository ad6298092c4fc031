"use strict";

const PERIOD_MS = 2000;
const byId = (id) => document.getElementById(id);
let lastAnswer = "the page was opened";
const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 3 });

/* Text goes in as text: names come from configuration, and from peers. */
function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function shown(cell) {
  if (cell === null) return "–";
  if (cell === true) return "yes";
  if (cell === false) return "no";
  return typeof cell === "number" ? numbers.format(cell) : String(cell);
}

function uptime(seconds) {
  const [d, h, m] = [seconds / 86400, (seconds / 3600) % 24, (seconds / 60) % 60].map(Math.floor);
  if (d) return `${d} d ${h} h`;
  if (h) return `${h} h ${m} min`;
  return m ? `${m} min ${Math.floor(seconds % 60)} s` : `${Math.floor(seconds)} s`;
}

function table({ columns, rows }) {
  const numeric = columns.map((_, i) => rows.some((row) => typeof row[i] === "number"));
  const head = make("tr");
  columns.forEach((column, i) => {
    const cell = make("th", column, numeric[i] ? "number" : "");
    cell.scope = "col";
    head.append(cell);
  });
  const body = make("tbody");
  for (const row of rows) {
    const line = make("tr");
    columns.forEach((column, i) => {
      const cell = make("td", shown(row[i] ?? null), numeric[i] ? "number" : "");
      cell.dataset.column = column;
      line.append(cell);
    });
    body.append(line);
  }
  const whole = make("table", undefined, columns.length > 3 ? "wide" : "");
  whole.append(make("thead"), body);
  whole.tHead.append(head);
  return whole;
}

function section(said) {
  const panel = make("section");
  panel.append(make("h2", said.title));
  if (said.rows.length === 0) {
    panel.append(make("p", "none", "empty"));
  } else {
    const scroll = make("div", undefined, "scroll");
    scroll.append(table(said));
    panel.append(scroll);
  }
  return panel;
}

function show(status) {
  document.title = `${status.node} · Kerf ${status.role}`;
  byId("node").textContent = status.node;
  byId("about").textContent = `${status.role} · version ${status.version} · up ${uptime(status.uptime_s)}`;
  const scrolled = [...document.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
  byId("sections").replaceChildren(...status.sections.map(section));
  document.querySelectorAll(".scroll").forEach((each, i) => { each.scrollLeft = scrolled[i] ?? 0; });
}

function state(text, className) {
  byId("state").textContent = text;
  byId("state").className = className;
  byId("sections").className = className === "bad" ? "stale" : "";
}

async function refresh() {
  try {
    const answer = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json());
    lastAnswer = new Date().toLocaleTimeString();
    state("live", "good");
  } catch {
    state(`no answer since ${lastAnswer}`, "bad");
  }
  setTimeout(refresh, PERIOD_MS);
}

refresh();
