/** What the page knows: devices, messages, events. Everything is bounded. */

import { readings } from "./format.js";
import { Overlap } from "./overlap.js";

/**
 * @typedef {import("./format.js").Message} Message
 * @typedef {import("./format.js").EndpointEvent} EndpointEvent
 * @typedef {{client_id: string, fault: string, hits: number}} Fault
 * A device; `registered` is null until the list of registered devices has been asked for.
 * @typedef {{id: string, online: boolean, version: string, faults: Fault[], registered: boolean | null, enabled: boolean, username: string, lastSeen: number,
 *   values: Map<string, unknown>, series: Map<string, number[]>, link: Record<string, unknown> | null,
 *   accepted: EndpointEvent | null, transport: string, problem: EndpointEvent | null, update: import("./updates.js").Update | null, changed: boolean}} Device
 */

export const MAX_MESSAGES = 2000;
const MAX_MESSAGE_CHARS = 8 * 1024 * 1024;
const MAX_EVENTS = 500;
export const MAX_DEVICES = 5000;
const MAX_READINGS = 24;
const SPARK_POINTS = 40;
const NOT_READINGS = new Set(["time", "seq", "link", "errors", "request_id", "report", "refused", "uptime_s"]);

/** @type {Map<string, Device>} */
export const devices = new Map();
/** The client ids of devices that are not known to be registered, oldest first. @type {Set<string>} */
const strangers = new Set();
/** @type {Message[]} */
export const messages = [];
/** @type {EndpointEvent[]} */
export const events = [];
export const totals = { received: 0, dropped: 0 };
let chars = 0;
/** The keys of the events; a page may hear of one twice, from the history and live. @type {Set<string>} */
const known = new Set();
/** The messages of the history that have not come live yet. */
let overlap = new Overlap([]);

/**
 * The device of a client id. If there are too many, the oldest that is not registered makes room: any client that is
 * refused can make up names.
 * @param {string} id
 * @returns {Device | null} null if all are registered
 */
export function deviceOf(id) {
  let device = devices.get(id);
  if (!device) {
    if (devices.size >= MAX_DEVICES) {
      const [oldest] = strangers;
      if (oldest === undefined) return null;
      strangers.delete(oldest);
      devices.delete(oldest);
    }
    strangers.add(id);
    device = {
      id, online: false, version: "", faults: [], registered: null, enabled: true, username: "", lastSeen: 0, values: new Map(), series: new Map(),
      link: null, accepted: null, transport: "", problem: null, update: null, changed: true,
    };
    devices.set(id, device);
  }
  return device;
}

/** Forget everything, before the server sends it anew. */
export function reset() {
  devices.clear();
  strangers.clear();
  known.clear();
  endHistory([]);
  messages.length = events.length = totals.received = totals.dropped = chars = 0;
}

/** Note which messages came from the history: they may come again. @param {Message[]} history */
export function endHistory(history) {
  overlap = new Overlap(history);
}

/** @param {Message} message @returns {boolean} false if the history had it */
export function addMessage(message) {
  if (overlap.has(message)) return false;
  messages.push(message);
  chars += message.payload.length;
  totals.received++;
  let excess = 0;
  while (messages.length - excess > MAX_MESSAGES || chars > MAX_MESSAGE_CHARS) chars -= messages[excess++].payload.length;
  if (excess > 0) messages.splice(0, excess);
  noteReadings(message);
  return true;
}

/** @param {Message} message */
export function noteReadings(message) {
  const device = message.client_id === null ? null : deviceOf(message.client_id);
  if (!device) return;
  device.lastSeen = Math.max(device.lastSeen, message.received_at);
  device.changed = true;
  if (!message.topic.startsWith("telemetry/")) return;
  const values = readings(message);
  if (!values) return;
  if (values.report && typeof values.report === "object") {
    const { version } = /** @type {Record<string, unknown>} */ (values.report);
    if (typeof version === "string") device.version = version.slice(0, 40);
  }
  if (values.link && typeof values.link === "object") device.link = /** @type {Record<string, unknown>} */ (values.link);
  for (const [name, value] of Object.entries(values)) {
    if (NOT_READINGS.has(name) || (!device.values.has(name) && device.values.size >= MAX_READINGS)) continue;
    device.values.set(name, value);
    if (typeof value !== "number") continue;
    const series = device.series.get(name) ?? [];
    series.push(value);
    if (series.length > SPARK_POINTS) series.shift();
    device.series.set(name, series);
  }
}

/** What tells one event from another. @param {EndpointEvent} event */
export const keyOf = (event) => JSON.stringify([event.time, event.connection_id, event.client_id, event.reason, event.detail]);

/** @param {EndpointEvent} event */
export function addEvent(event) {
  const begun = event.client_id === null ? null : devices.get(event.client_id)?.accepted;
  if (begun && event !== begun && begun.connection_id === event.connection_id) {
    event.facts = begun.facts; // how the connection came about is told when it is accepted
    event.login = begun.login;
  }
  const key = keyOf(event);
  if (known.has(key)) return;
  known.add(key);
  events.push(event);
  if (events.length > MAX_EVENTS) for (const old of events.splice(0, events.length - MAX_EVENTS)) known.delete(keyOf(old));
  const device = event.client_id === null ? null : deviceOf(event.client_id);
  if (!device) return;
  device.changed = true;
  if (event.outcome === "accepted") {
    if (event.reason === "CONNECTED") [device.accepted, device.problem] = [event, null];
    else if (event.reason === "AUTHENTICATED") device.transport = event.transport ?? "";
  } else if (!event.facts && event.time < (device.accepted?.time ?? 0)) {
    // from AWS, whose events come late (only localcore's have facts): the device has connected since
  } else if (event.reason !== "CLIENT_INITIATED_DISCONNECT" && !/^\d+ more/.test(event.detail)) device.problem = event;
  device.lastSeen = Math.max(device.lastSeen, event.time);
}

/** @param {string[]} online client ids */
export function setOnline(online) {
  const now = new Set(online);
  for (const id of online) deviceOf(id);
  for (const device of devices.values()) {
    if (device.online === now.has(device.id)) continue;
    device.online = now.has(device.id);
    device.changed = true;
  }
}

/** @param {import("./updates.js").Update[]} updates the last of each device that had one lately */
export function setUpdates(updates) {
  const last = new Map(updates.map((each) => [each.client_id, each]));
  for (const id of last.keys()) deviceOf(id);
  for (const device of devices.values()) {
    const found = last.get(device.id) ?? null;
    if (JSON.stringify(found) === JSON.stringify(device.update)) continue;
    device.update = found;
    device.changed = true;
  }
}

/** The faults that the endpoint can inject, and what each does; empty if it has none. @type {Map<string, string>} */
export const faultMeanings = new Map();

/** @param {Fault[]} faults those that are on */
export function setFaults(faults) {
  /** @type {Map<string, Fault[]>} */
  const on = new Map();
  for (const fault of faults) on.set(fault.client_id, [...(on.get(fault.client_id) ?? []), fault]);
  for (const id of on.keys()) deviceOf(id);
  for (const device of devices.values()) {
    const found = on.get(device.id) ?? [];
    if (!found.length && !device.faults.length) continue;
    device.faults = found;
    device.changed = true;
  }
}

/** @param {{client_id: string, username: string, enabled: boolean, version: string | null, last_seen: number | null}[]} registered */
export function setRegistered(registered) {
  const known = new Map(registered.map((each) => [each.client_id, each]));
  for (const id of known.keys()) strangers.delete(id); // so that none makes room for another
  for (const id of known.keys()) if (deviceOf(id)) strangers.delete(id);
  for (const device of devices.values()) {
    const entry = known.get(device.id);
    device.registered = entry !== undefined;
    if (entry) strangers.delete(device.id);
    else strangers.add(device.id);
    device.enabled = entry?.enabled ?? true;
    device.username = entry?.username ?? "";
    device.version ||= entry?.version ?? "";
    device.lastSeen = Math.max(device.lastSeen, entry?.last_seen ?? 0);
    device.changed = true;
  }
}
