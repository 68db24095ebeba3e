/** One device: charts of its numeric readings, a command box, its actions, messages and events. */

import { api } from "./live.js";
import { confirmed, dialog, show } from "./actions.js";
import { Charts } from "./charts.js";
import { eventElement } from "./events.js";
import { Rows, h, setText } from "./dom.js";
import { visible } from "./format.js";
import { devices, events, faultMeanings, keyOf } from "./model.js";
import { rowElement } from "./messages.js";
import { Overlap } from "./overlap.js";
import { MAX_POINTS, Series } from "./series.js";
import { rows } from "./updates.js";

/** @typedef {import("./format.js").Message} Message */

const MAX_MESSAGES = 5;
const MAX_EVENTS = 10;
const DRAW_MS = 500;
const EXAMPLE = '{"interval_s": 5}';
const RANGES = /** @type {[string, number][]} */ ([["5 minutes", 300], ["1 hour", 3600], ["1 day", 86_400], ["7 days", 604_800]]);

/**
 * The device that is open: its last messages, its charts, and the messages that came before its history did.
 * @typedef {{id: string, last: Message[], charts: Charts, early: Message[] | null, isChanged: boolean, load: () => void}} Open
 */
/** @type {Open | null} */
let open = null;

/** Give the open device a message that just came. @param {Message} message */
export function take(message) {
  if (!open || message.client_id !== open.id) return;
  if (open.early && open.early.length < MAX_POINTS) open.early.push(message);
  note(open, message);
}

/** Get the history of the open device again, because the page was not connected for a while. */
export function reload() {
  open?.load();
}

/** @param {Open} into @param {Message} message */
function note(into, message) {
  into.charts.series.add(message);
  into.last.push(message);
  if (into.last.length > MAX_MESSAGES) into.last.shift();
  into.isChanged = true;
}

/**
 * @param {string} id client id
 * @param {() => void} changed called after an action
 */
export function openDevice(id, changed) {
  const device = devices.get(id);
  if (!device) return;
  const pause = h("input", { type: "checkbox", id: "pause-charts", onchange: () => mine.charts.pause(pause.checked) });
  const range = h("select", { "aria-label": "Range" }, ...RANGES.map(([text, seconds]) => h("option", { value: seconds }, text)));
  const none = h("p", { class: "muted", id: "no-readings", hidden: true }, "No numeric readings in this range.");
  const noHistory = h("p", { class: "cause", role: "alert", id: "no-history", hidden: true });
  const charts = h("div", { id: "charts" });
  /** @type {Open} */
  const mine = { id, last: [], charts: new Charts(charts), early: null, isChanged: true, load };
  open = mine;
  const state = h("p", { class: "muted" });
  const last = h("div", { class: "rows" });
  /** @type {Rows<Message>} */
  const lastRows = new Rows(last, rowElement);
  const happened = h("div", { class: "rows", id: "device-events" });
  /** @type {Rows<import("./format.js").EndpointEvent>} */
  const eventRows = new Rows(happened, eventElement, keyOf);
  const updates = h("div", { class: "rows", id: "updates" });
  const act = (/** @type {string} */ action, /** @type {string} */ label, kind = "") =>
    h("button", { class: kind, "data-action": action, onclick: () => confirmed(action, id, changed) }, label);
  const actions = h("div", { class: "bar" });
  let shownActions = "";
  /** Offer what can be done to the device as it is now. @param {import("./model.js").Device} now */
  const drawActions = (now) => {
    const key = `${now.registered} ${now.enabled}`;
    if (key === shownActions) return;
    shownActions = key;
    actions.replaceChildren(...(now.registered
      ? [act("rotate", "Rotate password"), now.enabled ? act("disable", "Disable") : act("enable", "Enable"), act("disconnect", "Disconnect"), act("remove", "Remove", "danger")]
      : []));
  };
  show(visible(id),
    state,
    actions,
    h("div", { class: "bar" }, range, h("label", {}, pause, "Pause")),
    noHistory,
    none,
    charts,
    commandBox(id),
    faultBox(id),
    h("h3", {}, "Last messages"), last,
    h("h3", {}, "Updates"), updates,
    h("h3", {}, "Events"),
    happened);
  /** Past updates, null until they are known. @type {import("./updates.js").Update[] | null} */
  let past = null;
  /** @type {import("./updates.js").Update | null | undefined} */
  let shownUpdate;
  const draw = (isNewRange = false) => {
    if (document.hidden || !charts.isConnected) return; // not in a dialog that has closed or shows something else
    const now = devices.get(id) ?? device;
    setText(state, `${now.online ? "online" : "offline"}${now.accepted ? `: ${visible(now.accepted.detail)}` : ""}`);
    drawActions(now);
    if (now.update !== shownUpdate) drawUpdates(now.update);
    eventRows.show(events.filter((each) => each.client_id === id).slice(-MAX_EVENTS).reverse());
    const isNew = mine.isChanged && !pause.checked;
    if (isNew || isNewRange) none.hidden = mine.charts.draw(Number(range.value), isNewRange) || mine.early !== null;
    if (!isNew) return;
    mine.isChanged = false;
    lastRows.show([...mine.last].reverse());
  };
  /** The newest comes with the live state. @param {import("./updates.js").Update | null} newest */
  const drawUpdates = (newest) => {
    shownUpdate = newest;
    if (!newest && !past) return;
    updates.replaceChildren(...rows([...(newest ? [newest] : []), ...(past ?? []).filter((each) => each.job !== newest?.job)]));
  };
  let isLoaded = false;
  load();
  draw();
  const timer = setInterval(() => draw(), DRAW_MS);
  void api(`updates?client_id=${encodeURIComponent(id)}`)
    .then((found) => { past = found; drawUpdates(shownUpdate ?? null); })
    .catch((error) => updates.replaceChildren(h("p", { class: "muted" }, visible(error.message))));
  range.addEventListener("change", () => draw(true));
  dialog().addEventListener("close", () => {
    clearInterval(timer);
    mine.charts.destroy();
    if (open === mine) open = null;
  }, { once: true });

  function load() {
    const early = /** @type {Message[]} */ ([]);
    mine.early = early;
    void api(`history?client_id=${encodeURIComponent(id)}`).then((/** @type {Message[]} */ found) => {
      if (mine.early !== early) return; // asked again meanwhile
      const overlap = new Overlap(found);
      mine.charts.series = new Series();
      mine.last = [];
      for (const message of [...found, ...early.filter((each) => !overlap.has(each))]) note(mine, message);
      if (pause.checked && !isLoaded) mine.charts.pause(true); // it began without the history
      noHistory.hidden = true;
    }).catch((error) => {
      if (mine.early !== early) return;
      noHistory.textContent = `The history cannot be read: ${visible(error.message)}`;
      noHistory.hidden = false;
    }).finally(() => {
      if (mine.early !== early) return;
      mine.early = null;
      mine.isChanged = true;
      draw(pause.checked && !isLoaded);
      isLoaded = true;
    });
  }
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
  const given = h("input", { class: "grow", placeholder: `arguments as JSON, such as ${EXAMPLE}`, "aria-label": "Arguments", autocomplete: "off" });
  const answer = h("pre", { id: "answer", role: "status" });
  return h("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      answer.textContent = "waiting for the answer…";
      let values;
      try {
        values = JSON.parse(given.value || "{}");
      } catch {
        answer.textContent = `the arguments are not JSON, such as ${EXAMPLE}: ${visible(given.value)}`;
        return;
      }
      try {
        const result = await api("command", { client_id: id, command: command.value, arguments: values });
        answer.textContent = result.refused === undefined ? visible(JSON.stringify(result.report, null, 2)) : `refused: ${visible(result.refused)}`;
      } catch (error) {
        answer.textContent = visible(String(/** @type {Error} */ (error).message));
      }
    },
  }, h("h3", {}, "Command"), h("div", { class: "bar" }, command, given, h("button", { id: "send" }, "Send")), answer);
}
