/** Why a client was refused, and what to do about it, from an event of the endpoint and the authorizer's log line. */

/** @typedef {import("./format.js").EndpointEvent} EndpointEvent */

/** What the authorizer logs as its reason, and the cure; CLIENT_ID stands for the device's. */
const BY_LOGIN = /** @type {Record<string, string>} */ ({
  "unknown user name": "Correct username in config.json, or run: mqtt443 device add CLIENT_ID --out config.json",
  "wrong password": "Rotate the password on the device's card and copy it into config.json, or run: mqtt443 device rotate CLIENT_ID --out config.json",
  "the device is disabled": "Enable the device on its card, or run: mqtt443 device enable CLIENT_ID",
  "the client id is not that of the user name": "Set client_id in config.json to the one that is registered with this user name.",
});

/** AWS's reason, and the cure. */
const BY_REASON = /** @type {Record<string, string>} */ ({
  AUTHORIZATION_FAILURE: "Allow iot:Connect on the client id in the policy template.",
  AUTH_ERROR: "Publish to a topic that the policy allows, or register the device with it: mqtt443 device add CLIENT_ID --publish TOPIC",
  NOT_AUTHENTICATED: "Compare user name, password and client id in config.json with: mqtt443 device list",
  NO_ALPN: "Set transport to alpn, wss or auto in config.json.",
  SNI_MISUSED: "Set endpoint in config.json to the name that `mqtt443 local` shows.",
  THROTTLED: "Connect less often; a board backs off by itself.",
  DUPLICATE_CLIENTID: "Give each device a client id of its own: two use this one.",
  MQTT_KEEP_ALIVE_TIMEOUT: "The device was silent for 1.5 keep alives: look at its power and its network.",
  FAULT_INJECTED: "This fault was switched on here. Switch it off on the device's card, or run: mqtt443 local fault CLIENT_ID --off",
  CONNECTION_LOST: "The device's connection broke; it connects again by itself.",
  API_INITIATED_DISCONNECT: "Somebody ended the connection from the console or with a command; the device connects again.",
});

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
  if (event.outcome === "accepted") return "";
  const said = event.outcome === "refused" ? event.login?.reason : undefined;
  const advice = (typeof said === "string" && BY_LOGIN[said]) || BY_REASON[event.reason] || "";
  return advice.replaceAll("CLIENT_ID", () => event.client_id ?? "CLIENT_ID");
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
  add("Connection", `from ${event.source}${event.connection_id ? `, ${event.connection_id}` : ""}`);
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
