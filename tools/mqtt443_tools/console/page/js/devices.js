/** The view of devices: a card each. Only cards in sight whose device changed are drawn, four times a second. */

import { api } from "./live.js";
import { Card } from "./card.js";
import { byId, h, setChildren } from "./dom.js";
import { devices, setRegistered } from "./model.js";
import { openAdd } from "./actions.js";
import { openDevice } from "./device.js";

/** @typedef {import("./model.js").Device} Device */

const DRAW_MS = 250;
const REGISTERED_MS = 15_000;
/** The least time between two questions for the registered devices. */
const ASK_MS = 1000;
/** Divisible by the number of columns, so that a chunk has no gap at its end: one to four. */
const CHUNK_CARDS = 12;
/** @typedef {{element: HTMLElement, cards: Card[]}} Chunk some cards that follow one another: the browser lays out only chunks in sight */
/** @type {Map<string, Card>} */
const cards = new Map();
/** @type {Chunk[]} */
let chunks = [];
/** @type {Set<Element>} */
const inSight = new Set();
const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) inSight.add(target);
    else inSight.delete(target);
  }
  drawSight();
}, { rootMargin: "300px" });
const names = new Intl.Collator();
const list = h("div", { class: "cards", role: "list", "aria-label": "Devices" });
const empty = h("p", { class: "empty" }, "No devices yet. Add one, or run: mqtt443 device add NAME --out config.json");
const filter = h("input", { type: "search", class: "grow", placeholder: "Filter devices", "aria-label": "Filter devices" });
const order = h("select", { "aria-label": "Sort by" },
  h("option", { value: "problem" }, "Problems first"), h("option", { value: "name" }, "By name"), h("option", { value: "seen" }, "Last seen first"));

export function start() {
  byId("devices").append(
    h("div", { class: "bar" }, filter, order, h("button", { class: "primary", onclick: () => openAdd(refresh) }, "Add device")),
    list, empty);
  filter.addEventListener("input", () => arrange(true));
  order.addEventListener("change", () => arrange(true));
  setInterval(draw, DRAW_MS);
  setInterval(() => document.hidden || void refresh(), REGISTERED_MS);
}

/** When the page last asked which devices are registered. */
let askedAt = 0;
/** The number of these questions that wait for their answer. */
let pending = 0;

/** Ask which devices are registered. */
export async function refresh() {
  askedAt = Date.now();
  pending++;
  try {
    setRegistered(await api("devices"));
  } catch {
    return; // the status line says that the server is gone
  } finally {
    pending--;
  }
  draw();
  arrange();
}

/** Forget all cards, before the model is filled anew. */
export function clear() {
  cards.clear();
  arrange();
}

function draw() {
  if (document.hidden || byId("devices").hidden) return;
  let isChanged = false;
  for (const id of cards.keys()) if (!devices.has(id)) isChanged = cards.delete(id);
  for (const id of devices.keys()) {
    if (cards.has(id)) continue;
    cards.set(id, new Card(id, () => openDevice(id, refresh)));
    isChanged = true;
  }
  if (isChanged || (isHeld && !isInUse())) arrange();
  else drawSight();
  empty.hidden = devices.size > 0;
  if (pending === 0 && Date.now() - askedAt >= ASK_MS && [...devices.values()].some((device) => device.registered === null)) void refresh();
}

function drawSight() {
  const now = Date.now() / 1000;
  for (const chunk of chunks) {
    if (!inSight.has(chunk.element)) continue;
    for (const card of chunk.cards) {
      const device = devices.get(card.id);
      if (!device) continue;
      if (device.changed) card.draw(device, now);
      else card.drawAge(device, now);
      device.changed = false;
    }
  }
}

/**
 * Whether the pointer or a keyboard's focus is among the cards: then none may move away under a click. The focus that
 * returns to a card when its dialog is closed with the pointer is not visible, and holds nothing.
 */
const isInUse = () => list.matches(":hover, :has(:focus-visible)");
/** Whether the last arrangement left the cards in their places. */
let isHeld = false;

/** @param {boolean} [isForced] sort also while the list is in use */
function arrange(isForced = false) {
  const wanted = filter.value.trim().toLowerCase();
  const rank = (/** @type {Device} */ device) => (device.problem && !device.online ? 0 : device.online ? 1 : 2);
  const sorted = [...devices.values()].filter((device) => device.id.toLowerCase().includes(wanted)).sort((a, b) =>
    (order.value === "problem" ? rank(a) - rank(b) : order.value === "seen" ? b.lastSeen - a.lastSeen : 0) || names.compare(a.id, b.id));
  isHeld = !isForced && isInUse();
  if (isHeld) {
    const places = new Map(chunks.flatMap((chunk) => chunk.cards).map(({ id }, at) => [id, at]));
    const placeOf = (/** @type {Device} */ { id }) => places.get(id) ?? places.size; // new ones at the end
    sorted.sort((a, b) => placeOf(a) - placeOf(b));
  }
  const focused = document.activeElement;
  layOut(sorted.flatMap((device) => cards.get(device.id) ?? []));
  if (focused instanceof HTMLElement && focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
  drawSight();
}

/** @param {Card[]} shown in their order */
function layOut(shown) {
  const count = Math.ceil(shown.length / CHUNK_CARDS);
  for (const { element } of chunks.slice(count)) {
    sight.unobserve(element);
    inSight.delete(element);
  }
  chunks = Array.from({ length: count }, (_, at) => ({
    element: chunks[at]?.element ?? h("div", { class: "chunk" }),
    cards: shown.slice(at * CHUNK_CARDS, (at + 1) * CHUNK_CARDS),
  }));
  setChildren(list, chunks.map(({ element }) => element));
  for (const chunk of chunks) {
    setChildren(chunk.element, chunk.cards.map(({ element }) => element));
    sight.observe(chunk.element); // one that is observed already stays so
  }
}
