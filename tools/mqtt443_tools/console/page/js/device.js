/** One device: charts of its numeric readings, a command box, its actions, messages and events. */

import uPlot from "../vendor/uPlot.esm.js";
import { api } from "./live.js";
import { confirmed, dialog, show } from "./actions.js";
import { eventElement } from "./events.js";
import { Rows, h } from "./dom.js";
import { readings, shownValue, visible } from "./format.js";
import { devices, events, faultMeanings, keyOf } from "./model.js";
import { rowElement } from "./messages.js";
import { rows } from "./updates.js";

/** @typedef {import("./format.js").Message} Message */

const MAX_POINTS = 20_000;
const MAX_CHARTS = 8;
const MAX_MESSAGES = 5;
const MAX_EVENTS = 10;
const DRAW_MS = 500;
const RANGES = /** @type {[string, number][]} */ ([["5 minutes", 300], ["1 hour", 3600], ["1 day", 86_400], ["7 days", 604_800]]);

/** @type {{id: string, messages: Message[], isChanged: boolean} | null} */
let open = null;

/** Give the open device a message that just came. @param {Message} message */
export function take(message) {
  if (!open || message.client_id !== open.id) return;
  open.messages.push(message);
  if (open.messages.length > MAX_POINTS) open.messages.splice(0, open.messages.length - MAX_POINTS);
  open.isChanged = true;
}

/**
 * @param {string} id client id
 * @param {() => void} changed called after an action
 */
export function openDevice(id, changed) {
  const device = devices.get(id);
  if (!device) return;
  const mine = { id, messages: /** @type {Message[]} */ ([]), isChanged: true };
  open = mine;
  const pause = h("input", { type: "checkbox", id: "pause-charts" });
  const range = h("select", { "aria-label": "Range" }, ...RANGES.map(([text, seconds]) => h("option", { value: seconds }, text)));
  const charts = h("div", { id: "charts" });
  const last = h("div", { class: "rows" });
  /** @type {Rows<Message>} */
  const lastRows = new Rows(last, rowElement);
  const happened = h("div", { class: "rows", id: "device-events" });
  /** @type {Rows<import("./format.js").EndpointEvent>} */
  const eventRows = new Rows(happened, eventElement, keyOf);
  const updates = h("div", { class: "rows", id: "updates" });
  const act = (/** @type {string} */ action, /** @type {string} */ label, kind = "") =>
    h("button", { class: kind, "data-action": action, onclick: () => confirmed(action, id, changed) }, label);
  const actions = device.registered
    ? [act("rotate", "Rotate password"), device.enabled ? act("disable", "Disable") : act("enable", "Enable"), act("disconnect", "Disconnect"), act("remove", "Remove", "danger")]
    : [];
  show(visible(id),
    h("p", { class: "muted" }, device.online ? "online" : "offline", device.accepted ? `: ${visible(device.accepted.detail)}` : ""),
    h("div", { class: "bar" }, ...actions),
    h("div", { class: "bar" }, range, h("label", {}, pause, "Pause")),
    charts,
    commandBox(id),
    faultBox(id),
    h("h3", {}, "Last messages"), last,
    h("h3", {}, "Updates"), updates,
    h("h3", {}, "Events"),
    happened);
  const plots = new Map();
  const draw = () => {
    if (document.hidden || !charts.isConnected) return; // not in a dialog that has closed or shows something else
    eventRows.show(events.filter((each) => each.client_id === id).slice(-MAX_EVENTS).reverse());
    if (!mine.isChanged || pause.checked) return;
    mine.isChanged = false;
    drawCharts(charts, plots, mine.messages, Number(range.value));
    lastRows.show(mine.messages.slice(-MAX_MESSAGES).reverse());
  };
  draw();
  const timer = setInterval(draw, DRAW_MS);
  const told = (/** @type {Node[]} */ ...content) => updates.replaceChildren(...content);
  void api(`updates?client_id=${encodeURIComponent(id)}`).then((past) => told(...rows(past))).catch((error) => told(h("p", { class: "muted" }, visible(error.message))));
  range.addEventListener("change", () => { mine.isChanged = true; draw(); });
  dialog().addEventListener("close", () => {
    clearInterval(timer);
    for (const plot of plots.values()) plot.destroy();
    if (open === mine) open = null;
  }, { once: true });
  void api(`history?client_id=${encodeURIComponent(id)}`).then((past) => {
    const first = mine.messages[0]?.received_at ?? Infinity;
    mine.messages.unshift(...past.filter((/** @type {Message} */ m) => m.received_at < first));
    mine.isChanged = true;
    draw();
  }).catch(() => null); // the live messages remain
}

/**
 * @param {HTMLElement} into
 * @param {Map<string, uPlot>} plots
 * @param {Message[]} messages
 * @param {number} seconds
 */
function drawCharts(into, plots, messages, seconds) {
  const since = Date.now() / 1000 - seconds;
  /** @type {Map<string, [number[], number[]]>} */
  const series = new Map();
  for (const message of messages) {
    if (message.received_at < since || !message.topic.startsWith("telemetry/")) continue;
    for (const [name, value] of Object.entries(readings(message) ?? {})) {
      if (typeof value !== "number" || name === "seq") continue;
      const found = series.get(name) ?? [[], []];
      if (series.size >= MAX_CHARTS && !series.has(name)) continue;
      found[0].push(message.received_at);
      found[1].push(value);
      series.set(name, found);
    }
  }
  const style = getComputedStyle(document.documentElement);
  for (const [name, data] of series) {
    const plot = plots.get(name);
    if (plot) {
      plot.setData(data);
      continue;
    }
    const box = h("div", { class: "chart", role: "img", "aria-label": `Chart of ${visible(name)}` });
    into.append(box);
    const axis = { stroke: colour(style, "--muted"), grid: { stroke: colour(style, "--line"), width: 1 }, ticks: { show: false } };
    plots.set(name, new uPlot({
      width: Math.max(240, chartWidth(into)), height: 150, axes: [axis, { ...axis, size: 84 }],
      series: [{}, { label: visible(name), stroke: colour(style, "--accent"), width: 2, points: { show: data[0].length < 40 }, value: (_, v) => (v === null ? "" : shownValue(v)) }],
    }, data, box));
  }
}

/** Two charts side by side where there is room. @param {HTMLElement} into */
function chartWidth(into) {
  return into.clientWidth > 700 ? Math.floor((into.clientWidth - 16) / 2) : into.clientWidth;
}

/** The colour that a variable has now: a canvas cannot read light-dark(). @param {CSSStyleDeclaration} style @param {string} name */
function colour(style, name) {
  const probe = h("span", {});
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found || style.color;
}

/** Show in the open device which faults are on. */
export function drawFaults() {
  for (const box of document.querySelectorAll("input[data-fault]")) {
    if (!(box instanceof HTMLInputElement)) continue;
    const on = devices.get(box.dataset.client ?? "")?.faults.find((each) => each.fault === box.dataset.fault);
    box.checked = on !== undefined;
    const hits = box.parentElement?.querySelector(".hits");
    if (hits) hits.textContent = on ? `on, has acted ${on.hits}\u00d7` : "";
  }
}

/** @param {string} id */
function faultBox(id) {
  if (!faultMeanings.size) return null;
  const problem = h("p", { class: "cause", role: "alert", hidden: true });
  const rows = [...faultMeanings].map(([name, meaning]) => {
    const box = h("input", { type: "checkbox", "data-fault": name, "data-client": id, onchange: () => {
      problem.hidden = true;
      api("fault", { client_id: id, fault: name, on: box.checked }).catch((error) => {
        box.checked = !box.checked;
        problem.textContent = visible(error.message);
        problem.hidden = false;
      });
    } });
    return h("label", { class: "fault" }, box, h("b", {}, name), h("span", {}, meaning), h("span", { class: "hits" }));
  });
  queueMicrotask(drawFaults);
  return h("details", { class: "faults", open: devices.get(id)?.faults.length ? true : undefined },
    h("summary", {}, "Faults: see how this device copes"), ...rows, problem);
}

/** @param {string} id */
function commandBox(id) {
  const command = h("input", { id: "command", placeholder: "command, such as report", "aria-label": "Command", required: true, autocomplete: "off" });
  const given = h("input", { class: "grow", placeholder: 'arguments as JSON, such as {"interval_s": 5}', "aria-label": "Arguments", autocomplete: "off" });
  const answer = h("pre", { id: "answer", role: "status" });
  return h("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      answer.textContent = "waiting for the answer…";
      try {
        const result = await api("command", { client_id: id, command: command.value, arguments: given.value ? JSON.parse(given.value) : {} });
        answer.textContent = result.refused === undefined ? visible(JSON.stringify(result.report, null, 2)) : `refused: ${visible(result.refused)}`;
      } catch (error) {
        answer.textContent = visible(String(/** @type {Error} */ (error).message));
      }
    },
  }, h("h3", {}, "Command"), h("div", { class: "bar" }, command, given, h("button", { id: "send" }, "Send")), answer);
}
