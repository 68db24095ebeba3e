/** Why a client was refused, and how its connection came about, from an event of the endpoint and the authorizer's log line. */

import { adviceFor } from "./advice.js";
import { endpoint } from "./endpoint.js";

/** @typedef {import("./format.js").EndpointEvent} EndpointEvent */

/**
 * The reason in words.
 * @param {EndpointEvent} event
 */
export function cause(event) {
  const said = event.outcome === "refused" ? event.login?.reason : undefined;
  return typeof said === "string" ? `${event.reason}: ${said}` : `${event.reason}: ${event.detail}`;
}

/**
 * What to do about it; an empty text if nothing.
 * @param {EndpointEvent} event
 */
export function cure(event) {
  return adviceFor(event, endpoint.options);
}

/**
 * The way of the connection, step by step: what is known of it, in order. What is longer than a line is marked as a block.
 * @param {EndpointEvent} event
 * @returns {{name: string, text: string, isBlock: boolean}[]}
 */
export function steps(event) {
  const { login, facts = {} } = event;
  /** @type {{name: string, text: string, isBlock: boolean}[]} */
  const way = [];
  const add = (/** @type {string} */ name, /** @type {unknown} */ text, isBlock = false) => {
    if (text !== undefined && text !== null && text !== "") way.push({ name, text: String(text), isBlock });
  };
  add("Connection", [event.source && `from ${event.source}`, event.connection_id].filter(Boolean).join(", "));
  add("TLS", facts.tls && `${facts.tls}, ${facts.cipher}`);
  if ("sni" in facts) add("SNI", facts.sni ?? "none");
  if ("alpn" in facts) add("ALPN", facts.alpn === "mqtt" ? "mqtt: MQTT with custom authentication" : facts.alpn ?? "none: HTTP or MQTT over WebSocket");
  add("Authorizer", facts.authorizer);
  if (facts.event) add("Event to the authorizer, without secrets", JSON.stringify(facts.event, null, 2).replace(/\[[^[\]{}]*\]/g, (list) => list.replace(/\s+/g, " ")), true);
  else if (login) add("Event to the authorizer", `protocols ${JSON.stringify(login.protocols)}, client id ${login.client_id}, user name ${login.username}`);
  add("Answer of the authorizer", [login && `${login.decision}: ${login.reason} (${login.duration_ms} ms)`, facts.answer].filter(Boolean).join("; "));
  add("Policy at CONNECT", facts.statement);
  add("Answer of the endpoint", `${event.outcome}: ${event.reason}: ${event.detail}`);
  add("Missing statement, for policy.json of the authorizer", statement(event), true);
  return way;
}

/**
 * The policy statement that was missing, to paste into policy.json, with its placeholders; null if none was.
 * @param {EndpointEvent} event
 */
export function statement(event) {
  const found = /no statement allows (iot:\w+) on (arn:\S+?)[,;.]?(?:\s|$)/.exec(event.detail);
  if (!found || event.outcome === "accepted") return null;
  const resource = found[2].replace(/^arn:[^:]+:iot:[^:]*:[^:]*:/, "<arn>:");
  const levels = resource.split("/").map((level) => (level === event.client_id ? "<client_id>" : level));
  return JSON.stringify({ Effect: "Allow", Action: found[1], Resource: levels.join("/") }, null, 2);
}
