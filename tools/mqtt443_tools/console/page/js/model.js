/** What the page knows: devices, messages, decisions. Everything is bounded. */

import { readings } from "./format.js";

/**
 * @typedef {import("./format.js").Message} Message
 * @typedef {import("./format.js").Decision} Decision
 * @typedef {{client_id: string, fault: string, hits: number}} Fault
 * @typedef {{id: string, online: boolean, version: string, faults: Fault[], registered: boolean, enabled: boolean, username: string, lastSeen: number,
 *   values: Map<string, unknown>, series: Map<string, number[]>, link: Record<string, unknown> | null,
 *   accepted: Decision | null, problem: Decision | null, changed: boolean}} Device
 */

export const MAX_MESSAGES = 2000;
const MAX_MESSAGE_CHARS = 8 * 1024 * 1024;
const MAX_DECISIONS = 500;
const MAX_DEVICES = 5000;
const MAX_READINGS = 24;
const SPARK_POINTS = 40;
const NOT_READINGS = new Set(["time", "seq", "link", "errors", "request_id", "report", "refused", "uptime_s"]);

/** @type {Map<string, Device>} */
export const devices = new Map();
/** @type {Message[]} */
export const messages = [];
/** @type {Decision[]} */
export const decisions = [];
export const totals = { received: 0, dropped: 0 };
let chars = 0;
/** What tells one decision from another; a page may hear of one twice, from the history and live. @type {Set<string>} */
const known = new Set();
let newestOfHistory = 0;

/**
 * @param {string} id
 * @returns {Device | null} null if there are too many
 */
export function deviceOf(id) {
  let device = devices.get(id);
  if (!device) {
    if (devices.size >= MAX_DEVICES) return null;
    device = {
      id, online: false, version: "", faults: [], registered: false, enabled: true, username: "", lastSeen: 0, values: new Map(), series: new Map(),
      link: null, accepted: null, problem: null, changed: true,
    };
    devices.set(id, device);
  }
  return device;
}

/** Forget everything, before the server sends it anew. */
export function reset() {
  devices.clear();
  known.clear();
  newestOfHistory = 0;
  messages.length = decisions.length = totals.received = totals.dropped = chars = 0;
}

/** Note that the messages so far came from the history. */
export function endHistory() {
  newestOfHistory = messages.at(-1)?.received_at ?? 0;
}

/** @param {Message} message @returns {boolean} false if the history had it */
export function addMessage(message) {
  if (message.received_at <= newestOfHistory) return false;
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

/** @param {Decision} decision */
const keyOf = (decision) => JSON.stringify([decision.time, decision.connection_id, decision.client_id, decision.reason, decision.detail]);

/** @param {Decision} decision */
export function addDecision(decision) {
  const begun = decision.client_id === null ? null : devices.get(decision.client_id)?.accepted;
  if (begun && decision !== begun && begun.connection_id === decision.connection_id) {
    decision.facts = begun.facts; // how the connection came about is told when it is accepted
    decision.login = begun.login;
  }
  const key = keyOf(decision);
  if (known.has(key)) return;
  known.add(key);
  decisions.push(decision);
  if (decisions.length > MAX_DECISIONS) for (const old of decisions.splice(0, decisions.length - MAX_DECISIONS)) known.delete(keyOf(old));
  const device = decision.client_id === null ? null : deviceOf(decision.client_id);
  if (!device) return;
  device.changed = true;
  if (decision.outcome === "accepted") {
    if (decision.reason === "CONNECTED") [device.accepted, device.problem] = [decision, null];
  } else if (decision.reason !== "CLIENT_INITIATED_DISCONNECT" && !/^\d+ more/.test(decision.detail)) device.problem = decision;
  device.lastSeen = Math.max(device.lastSeen, decision.time);
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

/** @param {{client_id: string, username: string, enabled: boolean, version: string | null}[]} registered */
export function setRegistered(registered) {
  const known = new Map(registered.map((each) => [each.client_id, each]));
  for (const id of known.keys()) deviceOf(id);
  for (const device of devices.values()) {
    const entry = known.get(device.id);
    device.registered = entry !== undefined;
    device.enabled = entry?.enabled ?? true;
    device.username = entry?.username ?? "";
    device.version ||= entry?.version ?? "";
    device.changed = true;
  }
}
