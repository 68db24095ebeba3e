/** Turns what travels into what is shown. Pure functions, tested with node. */

/**
 * @typedef {{topic: string, payload: string, qos: number, retain: boolean, client_id: string | null, received_at: number}} Message
 * @typedef {{time: number, outcome: string, reason: string, detail: string, client_id: string | null, source: string,
 *   connection_id: string, transport?: string | null, facts?: Record<string, any>, login?: Record<string, unknown> | null}} EndpointEvent
 */

const MAX_SHOWN = 16_384;
/** Beyond this depth, JSON is indented no further: else a device could send a page full of spaces. */
const MAX_DEPTH = 20;

/** @param {string} base64 */
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

/** @param {string} text */
export function base64Of(text) {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/**
 * A payload as text: JSON with indentation if `pretty`, other text as it is, anything else in hex.
 * @param {string} base64
 * @param {boolean} [pretty]
 */
export function shownPayload(base64, pretty = false) {
  const bytes = bytesOf(base64);
  if (bytes.length === 0) return "(empty)";
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `binary, ${bytes.length} bytes: ${hex(bytes)}`;
  }
  const shown = cut(text);
  return visible(pretty && isJson(text) ? cut(indented(shown)) : shown);
}

/** @param {string} text */
function cut(text) {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

/** @param {string} text */
function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * JSON with indentation. Each token stays as it came: a large number keeps its digits, and a key that occurs twice is
 * shown twice.
 * @param {string} json may be cut off
 */
function indented(json) {
  let depth = 0;
  const line = () => `\n${"  ".repeat(Math.min(depth, MAX_DEPTH))}`;
  return json.replace(/"[^"\\]*(?:\\.[^"\\]*)*"?|[[{]\s*[\]}]|[[\]{},:]|\s+/g, (token) => {
    if (token.trim() === "") return "";
    if (token[0] === '"') return token;
    if (token === ",") return `,${line()}`;
    if (token === ":") return ": ";
    if (token.length > 1) return token[0] + token.at(-1); // an empty list or object
    depth += "[{".includes(token) ? 1 : -1;
    return "[{".includes(token) ? token + line() : line() + token;
  });
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  const shown = Array.from(bytes.slice(0, 256), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return bytes.length > 256 ? `${shown} …` : shown;
}

/**
 * Text without characters that would hide or reorder what stands beside them.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) =>
    c === "\n" || c === "\t" ? c : `\\u{${/** @type {number} */ (c.codePointAt(0)).toString(16)}}`,
  );
}

/**
 * The values of a telemetry message: an object of JSON, else null.
 * @param {Message} message
 * @returns {Record<string, unknown> | null}
 */
export function readings(message) {
  if (message.payload.length > 64 * 1024) return null;
  try {
    const value = JSON.parse(new TextDecoder().decode(bytesOf(message.payload)));
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/**
 * Whether a topic matches a filter [MQTT-4.7]; at AWS, `a/#` does not match `a`.
 * @param {string} filter
 * @param {string} topic
 */
export function matches(filter, topic) {
  const wanted = filter.split("/");
  const levels = topic.split("/");
  for (let at = 0; at < wanted.length; at++) {
    if (wanted[at] === "#") return levels.length > at;
    if (at >= levels.length || (wanted[at] !== "+" && wanted[at] !== levels[at])) return false;
  }
  return wanted.length === levels.length;
}

/** @param {unknown} value */
export function shownValue(value) {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  return visible(typeof value === "string" ? value : JSON.stringify(value) ?? "").slice(0, 200);
}

/**
 * A time in the viewer's zone, with its date unless that is today.
 * @param {Date} at
 * @param {Date} [now]
 */
export function shownTime(at, now = new Date()) {
  return at.toDateString() === now.toDateString() ? at.toLocaleTimeString() : at.toLocaleString();
}

/** @param {number} seconds */
export function ago(seconds) {
  if (seconds < 2) return "now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 129_600 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86_400)} d ago`;
}

/**
 * CSV of messages; a text that a spreadsheet would take for a formula gets an apostrophe.
 * @param {Message[]} messages
 */
export function csv(messages) {
  const cell = (/** @type {unknown} */ value) => {
    const text = String(value ?? "");
    return `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  };
  const lines = messages.map((m) =>
    [new Date(m.received_at * 1000).toISOString(), m.client_id, m.topic, m.qos, m.retain, shownPayload(m.payload)].map(cell).join(","),
  );
  return ["received_at,client_id,topic,qos,retain,payload", ...lines, ""].join("\r\n");
}
