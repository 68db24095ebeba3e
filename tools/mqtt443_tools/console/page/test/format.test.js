import assert from "node:assert/strict";
import { test } from "node:test";
import { cause, cure, statement, steps } from "../js/causes.js";
import { base64Of, csv, matches, readings, shownPayload, visible } from "../js/format.js";

const message = (payload, topic = "telemetry/a") => ({ topic, payload: base64Of(payload), qos: 1, retain: false, client_id: "a", received_at: 0 });

test("topic filters match as in MQTT, and a/# does not match a, as at AWS", () => {
  for (const [filter, topic, expected] of [
    ["#", "a/b", true], ["a/+", "a/b", true], ["a/+", "a/b/c", false], ["a/#", "a/b/c", true], ["a/#", "a", false],
    ["a", "a", true], ["a", "b", false], ["+/b", "a/b", true], ["a/b", "a", false],
  ]) assert.equal(matches(filter, topic), expected, `${filter} on ${topic}`);
});

test("payloads are JSON, text, hex or empty", () => {
  assert.equal(shownPayload(base64Of('{"a":1}'), true), '{\n  "a": 1\n}');
  assert.equal(shownPayload(base64Of("hé")), "hé");
  assert.equal(shownPayload("/wA="), "binary, 2 bytes: ff 00");
  assert.equal(shownPayload(""), "(empty)");
});

test("characters that hide or reorder text are written out", () => {
  assert.equal(visible("a\u202Eb\u0000\u200B"), "a\\u{202e}b\\u{0}\\u{200b}");
});

test("readings are objects only", () => {
  assert.deepEqual(readings(message('{"t": 1}')), { t: 1 });
  for (const other of ["[1]", "1", "null", "x", ""]) assert.equal(readings(message(other)), null);
});

test("a spreadsheet takes no cell for a formula", () => {
  assert.match(csv([message("=1+1")]), /"'=1\+1"/);
});

const refused = (reason, detail, login = null) =>
  ({ time: 0, outcome: "refused", reason, detail, client_id: "a", source: "", connection_id: "", login });

test("a wrong password is named, with the cure in the device's own name", () => {
  const event = refused("NOT_AUTHENTICATED", "no", { reason: "wrong password" });
  assert.equal(cause(event), "NOT_AUTHENTICATED: wrong password");
  assert.match(cure(event), /mqtt443 device rotate a /);
});

test("a missing statement can be pasted into the template", () => {
  const detail = "no statement allows iot:Publish on arn:aws:iot:eu-west-1:1:topic/x";
  assert.deepEqual(JSON.parse(statement(refused("AUTH_ERROR", detail))), { Effect: "Allow", Action: "iot:Publish", Resource: "<arn>:topic/x" });
  assert.equal(statement(refused("THROTTLED", "too many")), null);
});

test("a missing statement holds for every device: its own client id becomes the placeholder", () => {
  const detail = "no statement allows iot:Subscribe on arn:aws:iot:eu-west-1:1:topicfilter/commands/a/+; statement 2 does not apply";
  assert.equal(JSON.parse(statement(refused("AUTH_ERROR", detail))).Resource, "<arn>:topicfilter/commands/<client_id>/+");
});

test("the way of a connection is told in its order, as far as it is known", () => {
  const facts = { sni: "localhost", alpn: "mqtt", tls: "TLSv1.3", cipher: "C", authorizer: "mqtt443", event: { protocols: ["tls"] }, answer: "no" };
  const names = steps({ ...refused("NOT_AUTHENTICATED", "no"), facts }).map(({ name }) => name);
  assert.deepEqual(names, ["Connection", "TLS", "SNI", "ALPN", "Authorizer", "Event to the authorizer, without secrets", "Answer of the authorizer", "Answer of the endpoint"]);
  assert.deepEqual(steps(refused("TLS_ERROR", "no")).map(({ name }) => name), ["Connection", "Answer of the endpoint"]);
  assert.equal(steps({ ...refused("SNI_MISUSED", "no"), facts: { sni: null } }).find(({ name }) => name === "SNI")?.text, "none");
});
