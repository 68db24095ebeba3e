/** The view of messages: live, with filter, pause, publish and download. The page shows the last ones only. */

import { api } from "./live.js";
import { Rows, byId, copyButton, download, h, timeElement } from "./dom.js";
import { base64Of, csv, matches, shownPayload, visible } from "./format.js";
import { messages, totals } from "./model.js";

/** @typedef {import("./format.js").Message} Message */

const MAX_ROWS = 150;
const DRAW_MS = 250;
const filter = h("input", { placeholder: "Topic filter, such as telemetry/#", "aria-label": "Topic filter", value: "#", class: "grow", id: "topic-filter" });
const search = h("input", { type: "search", placeholder: "Text in topic or payload", "aria-label": "Text", class: "grow" });
const pause = h("input", { type: "checkbox", id: "pause-messages" });
const pretty = h("input", { type: "checkbox", id: "pretty" });
const count = h("span", { class: "muted", id: "count" });
const list = h("div", { class: "rows", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Messages" });
/** @type {Rows<Message>} */
const rows = new Rows(list, rowElement);
/** What the last drawing showed: the newest message, and how many were not shown. @type {[Message | undefined, number]} */
let drawn = [undefined, -1];
/** The messages at the moment of the pause; null while the page goes on. @type {Message[] | null} */
let paused = null;

export function start() {
  const label = (/** @type {HTMLElement} */ box, /** @type {string} */ text) => h("label", {}, box, text);
  byId("messages").append(
    h("div", { class: "bar" }, filter, search, label(pause, "Pause"), label(pretty, "Pretty JSON"),
      h("button", { id: "download-ndjson", onclick: () => download("messages.ndjson", chosen().map((m) => `${JSON.stringify(m)}\n`).join("")) }, "Download NDJSON"),
      h("button", { id: "download-csv", onclick: () => download("messages.csv", csv(chosen())) }, "Download CSV")),
    publishBox(), h("p", {}, count), list);
  for (const input of [filter, search]) input.addEventListener("input", () => draw(true));
  pause.addEventListener("input", () => {
    paused = pause.checked ? [...messages] : null;
    draw(true);
  });
  pretty.addEventListener("input", () => { rows.forget(); draw(true); });
  setInterval(draw, DRAW_MS);
}

/** @returns {Message[]} */
function chosen() {
  const text = search.value.toLowerCase();
  return (paused ?? messages).filter((m) => matches(filter.value || "#", m.topic) && (!text || `${m.topic}\n${shownPayload(m.payload)}`.toLowerCase().includes(text)));
}

/** @param {boolean} [isForced] also if no message is new */
function draw(isForced = false) {
  const now = /** @type {[Message | undefined, number]} */ ([messages.at(-1), totals.dropped]);
  const isOld = now.every((each, at) => each === drawn[at]);
  if (document.hidden || byId("messages").hidden || (!isForced && (paused || isOld))) return;
  drawn = now;
  const found = chosen();
  count.textContent = `${found.length} of the last ${(paused ?? messages).length} messages${totals.dropped ? `; ${totals.dropped} were not shown because the page was too slow or asleep` : ""}`;
  rows.show(found.slice(-MAX_ROWS).reverse());
}

/** @param {Message} message */
export function rowElement(message) {
  return h("div", { class: "row" },
    timeElement(message.received_at),
    h("span", { class: "topic" }, visible(message.topic)),
    h("span", {}, h("span", { class: "chip" }, `QoS ${message.qos}`), message.retain ? h("span", { class: "chip" }, "retained") : null),
    h("div", { class: "block" }, h("pre", {}, shownPayload(message.payload, pretty.checked)), copyButton(shownPayload(message.payload))));
}

function publishBox() {
  const topic = h("input", { placeholder: "Topic", "aria-label": "Topic to publish to", required: true, class: "grow", id: "publish-topic" });
  const payload = h("textarea", { placeholder: "Payload", "aria-label": "Payload", rows: 2, id: "publish-payload" });
  const qos = h("select", { "aria-label": "QoS" }, h("option", { value: 1 }, "QoS 1"), h("option", { value: 0 }, "QoS 0"));
  const retain = h("input", { type: "checkbox", id: "publish-retain" });
  const said = h("span", { role: "status", class: "muted" });
  return h("details", {}, h("summary", {}, "Publish"), h("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        await api("publish", { topic: topic.value, payload: base64Of(payload.value), qos: Number(qos.value), retain: retain.checked });
        said.textContent = "published";
      } catch (error) {
        said.textContent = visible(String(/** @type {Error} */ (error).message));
      }
    },
  }, h("div", { class: "field" }, topic, payload), h("div", { class: "bar" }, qos, h("label", {}, retain, "Retain"), h("button", { class: "primary" }, "Publish"), said)));
}
