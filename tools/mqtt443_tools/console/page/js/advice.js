/** What to do about a refusal, a cut connection or a discarded message. CLIENT_ID and OPTIONS stand for the device's id and for the endpoint. */

/** @typedef {import("./format.js").EndpointEvent} EndpointEvent */

/** By the reason that the authorizer logs. @type {Record<string, string>} */
const BY_LOGIN = {
  "unknown user name": "Correct username in config.json, or run: mqtt443 device add CLIENT_ID --out config.json OPTIONS",
  "wrong password": "Rotate the password on the device's card and copy it into config.json, or run: mqtt443 device rotate CLIENT_ID --out config.json OPTIONS",
  "the device is disabled": "Enable the device on its card, or run: mqtt443 device enable CLIENT_ID OPTIONS",
  "the client id is not that of the user name": "Set client_id in config.json to the one that is registered with this user name.",
};

/** By AWS's reason and what the detail says; the first that fits. @type {[string, RegExp, string][]} */
const BY_DETAIL = [
  ["AUTH_ERROR", /^refresh:/, "The authorizer let the device in before, and no longer does: see whether it is disabled, removed, or has a new password."],
  ["AUTH_ERROR", /iot:Subscribe|iot:Receive/, "Subscribe to what the policy allows, or register the device with the filter: mqtt443 device add CLIENT_ID --subscribe FILTER OPTIONS"],
  ["AUTH_ERROR", /iot:RetainPublish/, "Publish without RETAIN, or allow iot:RetainPublish in the policy template."],
  ["SUBSCRIBE_REFUSED", /no statement allows| denies iot:/, "Subscribe to what the policy allows, or register the device with the filter: mqtt443 device add CLIENT_ID --subscribe FILTER OPTIONS"],
  ["SUBSCRIBE_REFUSED", /filters in a SUBSCRIBE/, "Divide the filters among several SUBSCRIBE packets."],
  ["SUBSCRIBE_REFUSED", /over \d+ (subscriptions|members|shared)/, "Subscribe to fewer filters; one with a wildcard can take the place of many."],
  ["THROTTLED", /publishes per second/, "Send less often, or several readings in one message."],
  ["THROTTLED", /CONNECT a second/, "Connect less often; a board backs off by itself."],
  ["THROTTLED", /not retained/, "Retain fewer messages, or smaller ones; an empty retained message deletes one."],
  ["THROTTLED", /, topic /, "The device is sent more than a connection may carry: narrow its topic filters, or send it less."],
  ["CLIENT_ERROR", /QoS 2/, "Use QoS 0 or 1: AWS IoT has no QoS 2."],
  ["CLIENT_ERROR", /publishes without PUBACK/, "Wait for PUBACKs: the Receive Maximum of the CONNACK limits the publishes in flight (MQTT 5, clause 3.3.4)."],
  ["CLIENT_ERROR", /topic alias|without topic/, "Send the topic with an alias before you send the alias alone, and stay within the Topic Alias Maximum of the CONNACK."],
  ["CLIENT_ERROR", /subscription identifier/, "Subscribe without a subscription identifier: AWS IoT has none."],
  ["CLIENT_ERROR", /authentication method/, "Connect with a user name and a password: AWS IoT does not support AUTH."],
  ["CLIENT_ERROR", /maximum packet size/, "Leave Maximum Packet Size out of CONNECT, or make it larger."],
  ["CLIENT_ERROR", /client id/, "Set another client_id in config.json, of 1 to 128 bytes and without $ at its start."],
  ["CLIENT_ERROR", /packet identifier/, "Use a packet identifier again only after its PUBACK."],
  ["CLIENT_ERROR", /topic/, "Correct the topic; AWS IoT limits its length and its slashes, and reserves $aws."],
  ["CLIENT_ERROR", /bytes/, "Send less at once: AWS IoT takes payloads of up to 128 KB."],
];

/** By AWS's reason alone. @type {Record<string, string>} */
const BY_REASON = {
  API_INITIATED_DISCONNECT: "Somebody ended the connection from the console or with a command; the device connects again.",
  AUTHORIZATION_FAILED: "The authorizer or the policy refused the connection; the authorizer's line beside this one says why.",
  AUTHORIZATION_FAILURE: "Allow iot:Connect on the client id in the policy template, and iot:Publish on the topic of its will.",
  AUTH_ERROR: "Publish to a topic that the policy allows, or register the device with it: mqtt443 device add CLIENT_ID --publish TOPIC OPTIONS",
  CLIENT_ERROR: "The client broke a rule of MQTT or a limit of AWS IoT: correct what the line names.",
  CONNECTION_LOST: "The device's connection broke; it connects again by itself.",
  CONNECT_TIMEOUT: "Send CONNECT as soon as TLS is up.",
  CUSTOMAUTH_TTL_EXPIRATION: "The authorizer limits how long a connection lasts; the device connects again by itself.",
  CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR: "Look for the error in the authorizer's log; docs/authorizer.md says what it must answer.",
  CUSTOM_AUTHORIZER_NOT_FOUND: "Set authorizer in config.json to the name of one that is active, or leave it out where the endpoint has a default.",
  CUSTOM_AUTHORIZER_PARAMETER_INVALID: "Leave authorizer out of config.json, or set it to a name that this endpoint allows.",
  DOMAIN_CONFIGURATION_DISABLED: "Enable the domain configuration, or set endpoint in config.json to another one.",
  DUPLICATE_CLIENTID: "Give each device a client id of its own: two use this one.",
  FAULT_INJECTED: "This fault was switched on here. Switch it off on the device's card, or run: mqtt443 local fault CLIENT_ID --off OPTIONS",
  FORBIDDEN_ACCESS: "Compare the device's policy with what it does; the authorizer may also have ended its rights.",
  MESSAGE_EXPIRED: "The message came too late for its expiry interval: let it live longer, or keep the device connected.",
  MQTT_KEEP_ALIVE_TIMEOUT: "The device was silent for 1.5 keep alives: look at its power and its network.",
  NOT_ACKNOWLEDGED: "The device did not acknowledge a message: see whether it hangs while it handles one.",
  NOT_AUTHENTICATED: "Compare user name, password and client id in config.json with: mqtt443 device list OPTIONS",
  NO_ALPN: "Set transport to alpn, wss or auto in config.json.",
  NO_CLIENT_CERTIFICATE: "Offer ALPN mqtt, not x-amzn-mqtt-ca: that one needs a client certificate.",
  NO_REQUEST: "Set transport to alpn, wss or auto in config.json; a port scan looks like this too.",
  PACKET_TOO_LARGE: "Raise Maximum Packet Size in the device's CONNECT, or send it smaller messages.",
  QUEUE_FULL: "The device takes messages too slowly or is away too long: send it fewer, or use QoS 0.",
  SECURITY_TOKEN_INVALID: "Copy token and token_signature again, from: mqtt443 device add CLIENT_ID --out config.json OPTIONS",
  SECURITY_TOKEN_SIGNATURE_MISMATCH: "Sign the token with the key that the authorizer knows: mqtt443 device add CLIENT_ID --out config.json OPTIONS",
  SERVER_ERROR: "The endpoint failed; the device connects again by itself. If it happens again, report it with the line.",
  SERVER_INITIATED_DISCONNECT: "The endpoint ended the connection, for example when it stopped; the device connects again.",
  SNI_MISUSED: "Set endpoint in config.json to the name that the endpoint has: mqtt443 device add writes it.",
  SUBSCRIBE_REFUSED: "Correct the topic filter that the line names; AWS IoT limits its length and its slashes, and reserves $aws.",
  THROTTLED: "Do it less often: this is over a quota of AWS IoT.",
  TLS_ERROR: "Give the device the CA file of this endpoint, the name in its certificate, and the right time.",
  WEBSOCKET_TTL_EXPIRATION: "A WebSocket lasts 24 hours at most; the device connects again by itself.",
};

/**
 * The advice for an event; an empty text if none is needed.
 * @param {EndpointEvent} event
 * @param {string} options of commands that lead to this endpoint
 */
export function adviceFor(event, options) {
  if (event.outcome === "accepted" || event.reason === "CLIENT_INITIATED_DISCONNECT") return "";
  const said = event.outcome === "refused" ? event.login?.reason : undefined;
  const advice = (typeof said === "string" && BY_LOGIN[said])
    || BY_DETAIL.find(([reason, pattern]) => reason === event.reason && pattern.test(event.detail))?.[2]
    || BY_REASON[event.reason] || "";
  return advice.replace(/ ?OPTIONS/g, () => (options ? ` ${options}` : "")).replaceAll("CLIENT_ID", () => event.client_id ?? "CLIENT_ID");
}
