/** The view of devices: a card each. Only cards in sight whose device changed are drawn again, four times a second. */

import { api } from "./live.js";
import { cause, cure } from "./causes.js";
import { byId, h, sparkline } from "./dom.js";
import { ago, shownValue, visible } from "./format.js";
import { chip } from "./updates.js";
import { devices, setRegistered } from "./model.js";
import { openAdd } from "./actions.js";
import { openDevice } from "./device.js";

/** @typedef {import("./model.js").Device} Device */

const DRAW_MS = 250;
const REGISTERED_MS = 15_000;
const SHOWN_READINGS = 4;
/** @type {Map<string, HTMLLIElement>} */
const cards = new Map();
/** @type {Set<string>} */
const inSight = new Set();
const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const id = target.getAttribute("data-card") ?? "";
    if (isIntersecting) inSight.add(id);
    else inSight.delete(id);
  }
}, { rootMargin: "300px" });
const list = h("ul", { class: "cards", "aria-label": "Devices" });
const empty = h("p", { class: "empty" }, "No devices yet. Add one, or run: mqtt443 device add NAME --out config.json");
const filter = h("input", { type: "search", class: "grow", placeholder: "Filter devices", "aria-label": "Filter devices" });
const order = h("select", { "aria-label": "Sort by" },
  h("option", { value: "problem" }, "Problems first"), h("option", { value: "name" }, "By name"), h("option", { value: "seen" }, "Last seen first"));

export function start() {
  byId("devices").append(
    h("div", { class: "bar" }, filter, order, h("button", { class: "primary", onclick: () => openAdd(refresh) }, "Add device")),
    list, empty);
  filter.addEventListener("input", arrange);
  order.addEventListener("change", arrange);
  setInterval(draw, DRAW_MS);
  setInterval(() => document.hidden || void refresh(), REGISTERED_MS);
}

/** Ask which devices are registered. */
export async function refresh() {
  try {
    setRegistered(await api("devices"));
  } catch {
    return; // the status line says that the server is gone
  }
  draw();
  arrange();
}

/** Forget all cards, before the model is filled anew. */
export function clear() {
  cards.clear();
  inSight.clear();
  sight.disconnect();
  list.replaceChildren();
}

function draw() {
  if (document.hidden || byId("devices").hidden) return;
  let isNew = false;
  const now = Date.now() / 1000;
  for (const device of devices.values()) {
    const card = cards.get(device.id);
    if (card && !inSight.has(device.id)) continue;
    if (card && !device.changed) {
      const when = card.querySelector(".when");
      const text = whenText(device, now);
      if (when && when.textContent !== text) when.textContent = text;
      continue;
    }
    device.changed = false;
    if (card) fill(card, device, now);
    else {
      const item = h("li", { class: "card", "data-card": device.id });
      cards.set(device.id, item);
      fill(item, device, now);
      sight.observe(item);
      isNew = true;
    }
  }
  if (isNew) arrange();
  empty.hidden = devices.size > 0;
}

/** @param {Device} device @param {number} now */
function whenText(device, now) {
  if (device.online) return "online";
  return device.lastSeen ? ago(now - device.lastSeen) : "never seen";
}

/** @param {HTMLLIElement} card @param {Device} device @param {number} now */
function fill(card, device, now) {
  const head = card.querySelector(".head");
  const state = device.online ? "on" : device.problem ? "off" : "";
  const parts = [
    h("div", { class: "chips" }, ...chips(device).map(([text, kind]) => h("span", { class: `chip ${kind}` }, text))),
    ...[...device.values].slice(0, SHOWN_READINGS).map(([name, value]) =>
      h("div", { class: "reading", "data-reading": name }, h("span", {}, visible(name)), h("b", {}, shownValue(value)), sparkline(device.series.get(name) ?? []))),
    device.problem ? h("p", { class: "cause" }, visible(cause(device.problem)), " ", h("span", { class: "muted" }, visible(cure(device.problem)))) : null,
  ];
  if (head) { // it stays, so that it keeps the focus
    head.querySelector(".dot")?.setAttribute("class", `dot ${state}`);
    const when = head.querySelector(".when");
    if (when) when.textContent = whenText(device, now);
    while (head.nextSibling) head.nextSibling.remove();
  } else {
    card.append(h("div", { class: "head" },
      h("span", { class: `dot ${state}`, "aria-hidden": "true" }),
      h("button", { class: "name", "data-device": device.id, onclick: () => openDevice(device.id, refresh) }, visible(device.id)),
      h("span", { class: "when" }, whenText(device, now))));
  }
  for (const part of parts) if (part) card.append(part);
}

/** @param {Device} device @returns {[string, string][]} */
export function chips(device) {
  /** @type {[string, string][]} */
  const found = [];
  if (!device.registered) found.push(["not registered", "bad"]);
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

function arrange() {
  const wanted = filter.value.trim().toLowerCase();
  const rank = (/** @type {Device} */ device) => (device.problem && !device.online ? 0 : device.online ? 1 : 2);
  const sorted = [...devices.values()].filter((device) => device.id.toLowerCase().includes(wanted)).sort((a, b) =>
    (order.value === "problem" ? rank(a) - rank(b) : order.value === "seen" ? b.lastSeen - a.lastSeen : 0) || a.id.localeCompare(b.id));
  const items = sorted.flatMap((device) => cards.get(device.id) ?? []);
  if (items.length === list.children.length && items.every((item, at) => list.children[at] === item)) return;
  const focused = document.activeElement;
  list.replaceChildren(...items);
  if (focused instanceof HTMLElement && focused.isConnected) focused.focus();
}
