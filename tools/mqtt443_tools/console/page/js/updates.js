/** Updates over the air: how one goes on, in words, and the last ones of a device. */

import { h, timeElement } from "./dom.js";
import { visible } from "./format.js";

/** @typedef {{client_id: string, job: string, status: string, running: boolean, at: number | null, step?: string, done?: string, reason?: string, version?: string}} Update */

/** @param {Update} update */
export function progress(update) {
  const bytes = Number(update.done);
  const parts = [update.running ? update.step : "", update.done && Number.isFinite(bytes) ? `${bytes.toLocaleString("en")} bytes` : "", update.reason];
  const said = parts.filter(Boolean).join(", ");
  return visible(said ? `${update.status}: ${said}` : update.status);
}

/** The chip of a card. @param {Update} update @returns {[string, string]} text and kind */
export function chip(update) {
  return [`update ${progress(update)}`, update.running ? "warn" : ["failed", "rejected", "timed out"].includes(update.status) ? "bad" : ""];
}

/** @param {Update[]} updates */
export function rows(updates) {
  if (!updates.length) return [h("p", { class: "muted" }, "No updates.")];
  return updates.map((update) => h("div", { class: "row" },
    update.at ? timeElement(update.at) : null, h("span", { class: "topic" }, visible(update.job)), h("span", {}, progress(update))));
}
