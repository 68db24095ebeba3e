/** The view of events: who was let in, refused or cut, why, and what to do. */

import { cause, cure, steps } from "./causes.js";
import { Rows, byId, copyButton, h, timeElement } from "./dom.js";
import { visible } from "./format.js";
import { events, keyOf } from "./model.js";

/** @typedef {import("./format.js").EndpointEvent} EndpointEvent */

const MAX_SHOWN = 200;
const only = h("input", { type: "checkbox", id: "only-failures" });
const search = h("input", { type: "search", class: "grow", placeholder: "Filter events", "aria-label": "Filter events" });
const list = h("div", { class: "rows" });
/** @type {Rows<EndpointEvent>} */
const rows = new Rows(list, eventElement, keyOf);
const empty = h("p", { class: "empty" }, "No events yet: no client has connected.");
/** @type {EndpointEvent | undefined} */
let newest;

export function start() {
  only.checked = true;
  byId("events").append(h("div", { class: "bar" }, search, h("label", {}, only, "Only what failed")), list, empty);
  for (const input of [only, search]) input.addEventListener("input", () => draw(true));
}

/** @param {boolean} [isForced] also if no event is new */
export function draw(isForced = false) {
  if (byId("events").hidden || (!isForced && newest === events.at(-1))) return;
  newest = events.at(-1);
  const text = search.value.toLowerCase();
  const shown = events.filter((d) => !(only.checked && d.outcome === "accepted") && (!text || JSON.stringify(d).toLowerCase().includes(text)));
  rows.show(shown.slice(-MAX_SHOWN).reverse());
  empty.hidden = shown.length > 0;
  list.hidden = shown.length === 0;
}

/** @param {EndpointEvent} event */
export function eventElement(event) {
  const advice = cure(event);
  return h("details", {},
    h("summary", {}, timeElement(event.time), " ", h("span", { class: `outcome ${event.outcome}` }, event.outcome), " ",
      h("b", {}, visible(event.client_id ?? "a client")), " ", visible(cause(event))),
    h("ol", {}, ...steps(event).map(({ name, text, isBlock }) =>
      h("li", {}, h("b", {}, `${name}: `), isBlock ? h("div", { class: "block" }, h("pre", { "data-step": name }, visible(text)), copyButton(text)) : visible(text)))),
    advice ? h("p", { class: "cause" }, visible(advice)) : null);
}
