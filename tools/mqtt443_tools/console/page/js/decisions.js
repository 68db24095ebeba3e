/** The view of decisions: who was let in, refused or cut, why, and what to do. */

import { cause, cure, steps } from "./causes.js";
import { byId, copyButton, h, timeElement } from "./dom.js";
import { visible } from "./format.js";
import { decisions } from "./model.js";

/** @typedef {import("./format.js").Decision} Decision */

const MAX_SHOWN = 200;
const only = h("input", { type: "checkbox", id: "only-failures" });
const search = h("input", { type: "search", class: "grow", placeholder: "Filter decisions", "aria-label": "Filter decisions" });
const list = h("div", { class: "rows" });
const empty = h("p", { class: "empty" }, "No decisions yet: nobody has connected.");
/** @type {Decision | undefined} */
let newest;

export function start() {
  only.checked = true;
  byId("decisions").append(h("div", { class: "bar" }, search, h("label", {}, only, "Only what failed")), list, empty);
  for (const input of [only, search]) input.addEventListener("input", () => draw(true));
}

/** @param {boolean} [isForced] also if no decision is new */
export function draw(isForced = false) {
  if (byId("decisions").hidden || (!isForced && newest === decisions.at(-1))) return;
  newest = decisions.at(-1);
  const text = search.value.toLowerCase();
  const shown = decisions.filter((d) => !(only.checked && d.outcome === "accepted") && (!text || JSON.stringify(d).toLowerCase().includes(text)));
  const opened = new Set([...list.querySelectorAll("details[open]")].map((each) => each.getAttribute("data-key")));
  list.replaceChildren(...shown.slice(-MAX_SHOWN).reverse().map((decision) => {
    const element = decisionElement(decision);
    element.open = opened.has(element.getAttribute("data-key"));
    return element;
  }));
  empty.hidden = shown.length > 0;
  list.hidden = shown.length === 0;
}

/** @param {Decision} decision */
export function decisionElement(decision) {
  const advice = cure(decision);
  return h("details", { "data-key": `${decision.time} ${decision.connection_id}` },
    h("summary", {}, timeElement(decision.time), " ", h("span", { class: `outcome ${decision.outcome}` }, decision.outcome), " ",
      h("b", {}, visible(decision.client_id ?? "a client")), " ", visible(cause(decision))),
    h("ol", {}, ...steps(decision).map(({ name, text, isBlock }) =>
      h("li", {}, h("b", {}, `${name}: `), isBlock ? h("div", { class: "block" }, h("pre", { "data-step": name }, visible(text)), copyButton(text)) : visible(text)))),
    advice ? h("p", { class: "cause" }, visible(advice)) : null);
}
