import assert from "node:assert/strict";
import { test } from "node:test";
import { chip, progress } from "../js/updates.js";
import { base64Of, csv, matches, readings, shownPayload, shownTime, visible } from "../js/format.js";

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

test("indented JSON keeps its tokens, is bounded, and ends where it was cut off", () => {
  const pretty = (/** @type {string} */ json) => shownPayload(base64Of(json), true);
  for (const value of [{}, [], { a: [], b: {} }, { a: { b: [1, "x\\\"]{,: y", null] }, "": -1.5 }, "a", 7]) {
    assert.equal(pretty(JSON.stringify(value)), JSON.stringify(value, null, 2));
    assert.equal(pretty(JSON.stringify(value, null, 7)), JSON.stringify(value, null, 2));
  }
  assert.equal(pretty('{"a":9007199254740993,"a":1e400}'), '{\n  "a": 9007199254740993,\n  "a": 1e400\n}');
  assert.equal(pretty('{"a":1'), '{"a":1');
  const deep = pretty("[".repeat(30_000) + "]".repeat(30_000));
  assert.ok(deep.length === 16_385 && deep.endsWith("…"));
  const long = pretty(JSON.stringify(["x".repeat(20_000)]));
  assert.ok(long.startsWith('[\n  "xxx') && long.endsWith("x…"));
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

test("an update tells its step, its bytes and why it failed", () => {
  const update = { client_id: "a", job: "update-1", status: "in progress", running: true, at: 1 };
  assert.equal(progress({ ...update, step: "download", done: "12288" }), "in progress: download, 12,288 bytes");
  assert.equal(progress({ ...update, done: "<b>" }), "in progress");
  assert.deepEqual(chip({ ...update, running: false, status: "failed", step: "try", reason: "no\u202E space" }), ["update failed: no\\u{202e} space", "bad"]);
  assert.deepEqual(chip({ ...update, running: false, status: "done" }), ["update done", ""]);
});

test("a time of another day has its date", () => {
  const now = new Date(2026, 10, 27, 12, 0, 0);
  const [today, before] = [new Date(2026, 10, 27, 9, 5, 7), new Date(2026, 10, 26, 9, 5, 7)];
  assert.equal(shownTime(today, now), today.toLocaleTimeString());
  assert.equal(shownTime(before, now), before.toLocaleString());
  assert.notEqual(shownTime(before, now), before.toLocaleTimeString());
});
