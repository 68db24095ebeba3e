import assert from "node:assert/strict";
import { test } from "node:test";
import { adviceFor } from "../js/advice.js";
import { cause, cure, statement, steps } from "../js/causes.js";

const refused = (reason, detail, login = null) =>
  ({ time: 0, outcome: "refused", reason, detail, client_id: "a", source: "127.0.0.1", connection_id: "", login });

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

test("a refused topic filter is explained by what refused it", () => {
  const dropped = (detail) => ({ ...refused("SUBSCRIBE_REFUSED", `SUBACK 0x87 for x/#: ${detail}`), outcome: "dropped" });
  const lacking = dropped("no statement allows iot:Subscribe on arn:aws:iot:eu-west-1:1:topicfilter/x/#");
  assert.match(cure(lacking), /mqtt443 device add a --subscribe FILTER$/);
  assert.deepEqual(JSON.parse(statement(lacking)), { Effect: "Allow", Action: "iot:Subscribe", Resource: "<arn>:topicfilter/x/#" });
  assert.match(cure(dropped("over 50 subscriptions of one connection")), /fewer filters/);
  assert.match(cure(dropped("9 filters in a SUBSCRIBE, the limit is 8")), /several SUBSCRIBE packets/);
  assert.match(cure(dropped("topic filter: over 256 bytes")), /limits its length/);
});

test("one reason with several causes gets the advice for the cause", () => {
  for (const [reason, detail, expected] of [
    ["AUTH_ERROR", "no statement allows iot:Publish on arn:x", /--publish TOPIC/],
    ["AUTH_ERROR", "no statement allows iot:Subscribe on arn:x", /--subscribe FILTER/],
    ["AUTH_ERROR", "refresh: no statement allows iot:Connect on arn:x", /no longer does/],
    ["THROTTLED", "over 100 publishes per second, topic a", /Send less often/],
    ["THROTTLED", "over 1 CONNECT a second for one client id", /Connect less often/],
    ["CLIENT_ERROR", "over 100 publishes without PUBACK", /Receive Maximum/],
    ["CLIENT_ERROR", "topic alias 9, the limit is 8", /Topic Alias Maximum/],
    ["CLIENT_ERROR", "a subscription identifier, which AWS does not support", /without a subscription identifier/],
    ["CLIENT_ERROR", "an authentication method (AUTH), which AWS does not support", /user name and a password/],
    ["CLIENT_ERROR", "something new", /rule of MQTT/],
    ["PACKET_TOO_LARGE", "over the client's maximum packet size, topic a", /Maximum Packet Size/],
  ]) assert.match(adviceFor({ ...refused(reason, detail), outcome: "closed" }, ""), expected, `${reason}: ${detail}`);
});

test("an advised command leads to the endpoint of the page, and what went well gets no advice", () => {
  const event = refused("NOT_AUTHENTICATED", "no", { reason: "the device is disabled" });
  assert.match(adviceFor(event, "--stack greenhouse"), /mqtt443 device enable a --stack greenhouse$/);
  assert.equal(adviceFor({ ...event, outcome: "accepted" }, ""), "");
  assert.equal(adviceFor({ ...event, outcome: "closed", reason: "CLIENT_INITIATED_DISCONNECT" }, ""), "");
});
