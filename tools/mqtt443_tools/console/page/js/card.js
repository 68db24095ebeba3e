/** The card of a device. It changes only what differs, so that a redraw is cheap and leaves a selection alone. */

import { cause, cure } from "./causes.js";
import { Sparkline, h, setText } from "./dom.js";
import { ago, shownValue, visible } from "./format.js";
import { chip } from "./updates.js";

/** @typedef {import("./model.js").Device} Device */

const SHOWN_READINGS = 4;

export class Card {
  /** @param {string} id client id @param {() => void} open what a click on the name does */
  constructor(id, open) {
    this.id = id;
    this.dot = h("span", { class: "dot", "aria-hidden": "true" });
    this.when = h("span", { class: "when" });
    this.chips = h("div", { class: "chips" });
    this.readings = h("div", {});
    this.cause = h("p", { class: "cause", hidden: true });
    this.element = h("div", { class: "card", role: "listitem", "data-card": id },
      h("div", { class: "head" }, this.dot, h("button", { class: "name", "data-device": id, onclick: open }, visible(id)), this.when),
      this.chips, this.readings, this.cause);
    /** @type {Map<string, {value: HTMLElement, line: Sparkline}>} */
    this.rows = new Map();
    this.shownChips = "";
    this.shownCause = " ";
  }

  /** Draw how long ago the device was seen, with UTC on hover. @param {Device} device @param {number} now Unix seconds */
  drawAge(device, now) {
    const seen = device.lastSeen ? new Date(device.lastSeen * 1000).toISOString() : "";
    if (this.when.title !== seen) this.when.title = seen;
    setText(this.when, device.online ? "online" : device.lastSeen ? ago(now - device.lastSeen) : "never seen");
  }

  /** @param {Device} device @param {number} now Unix seconds */
  draw(device, now) {
    this.drawAge(device, now);
    const state = `dot ${device.online ? "on" : device.problem ? "off" : ""}`;
    if (this.dot.className !== state) this.dot.className = state;
    const found = chips(device);
    const key = JSON.stringify(found);
    if (key !== this.shownChips) this.chips.replaceChildren(...found.map(([text, kind]) => h("span", { class: `chip ${kind}` }, text)));
    this.shownChips = key;
    this.drawReadings(device);
    const why = device.problem ? visible(cause(device.problem)) : "";
    const advice = device.problem ? visible(adviceNow(device, device.problem)) : "";
    if (`${why} ${advice}` === this.shownCause) return;
    this.shownCause = `${why} ${advice}`;
    this.cause.hidden = why === "";
    this.cause.replaceChildren(why, " ", h("span", { class: "muted" }, advice));
  }

  /** @param {Device} device */
  drawReadings(device) {
    let count = 0;
    for (const [name, value] of device.values) {
      if (count++ === SHOWN_READINGS) break;
      let row = this.rows.get(name);
      if (!row) {
        row = { value: h("b", {}), line: new Sparkline() };
        this.rows.set(name, row);
        this.readings.append(h("div", { class: "reading", "data-reading": name }, h("span", {}, visible(name)), row.value, row.line.element));
      }
      setText(row.value, shownValue(value));
      row.line.draw(device.series.get(name) ?? []);
    }
  }
}

/** What is left to do, as the device is now. @param {Device} device @param {NonNullable<Device["problem"]>} problem */
function adviceNow(device, problem) {
  return device.enabled && problem.login?.reason === "the device is disabled"
    ? "It is enabled again. A board tries again by itself, later after each refusal: within a minute after the first, 15 minutes at most."
    : cure(problem);
}

/** @param {Device} device @returns {[string, string][]} text and kind of each */
function chips(device) {
  /** @type {[string, string][]} */
  const found = [];
  if (device.registered === false) found.push(["not registered", "bad"]);
  else if (!device.enabled) found.push(["disabled", "bad"]);
  for (const { fault } of device.faults) found.push([`fault ${fault}`, "warn"]);
  if (device.update) found.push(chip(device.update));
  if (device.version) found.push([visible(`mqtt443 ${device.version}`), ""]);
  const facts = device.accepted?.facts;
  const transport = device.accepted?.transport ?? device.transport;
  if (facts?.mqtt) found.push([visible(`MQTT ${facts.mqtt}`), ""]);
  if (transport) found.push([visible(transport === "wss" ? "WebSocket" : transport === "alpn" ? `ALPN ${facts?.alpn ?? "mqtt"}` : "no ALPN"), ""]);
  if (facts?.tls) found.push([visible(String(facts.tls).replace("TLSv", "TLS ")), ""]);
  for (const [name, count] of Object.entries(device.link ?? {})) found.push([`${visible(name)} ${shownValue(count)}`, "bad"]);
  return found;
}
