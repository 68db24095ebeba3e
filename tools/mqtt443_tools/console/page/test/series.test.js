import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_POINTS, Series } from "../js/series.js";

const message = (at, values, topic = "telemetry/a") =>
  ({ topic, payload: btoa(JSON.stringify(values)), qos: 1, retain: false, client_id: "a", received_at: at });

test("numeric readings become points, by name, since a time", () => {
  const series = new Series();
  for (const at of [10, 20, 30]) series.add(message(at, { temperature_c: at / 2, seq: at, on: true, text: "x" }));
  series.add(message(40, { temperature_c: 1 }, "commands/a"));
  assert.deepEqual(series.since(0), [["temperature_c", [[10, 20, 30], [5, 10, 15]]]]);
  assert.deepEqual(series.since(20), [["temperature_c", [[20, 30], [10, 15]]]]);
  assert.deepEqual(series.since(31), [["temperature_c", [[], []]]]);
});

test("times stay in order although the endpoint's clock is set back", () => {
  const series = new Series();
  for (const at of [30, 20, 25, 40]) series.add(message(at, { x: at }));
  assert.deepEqual(series.since(26), [["x", [[30, 30, 30, 40], [30, 20, 25, 40]]]]);
});

test("points and series are bounded", () => {
  const series = new Series();
  for (let at = 0; at < 1.3 * MAX_POINTS; at++) series.add(message(at, { x: at }));
  const [[, [times]]] = series.since(0);
  assert.ok(times.length <= 1.1 * MAX_POINTS);
  assert.equal(times.at(-1), 1.3 * MAX_POINTS - 1);
  series.add(message(1e9, Object.fromEntries(Array.from({ length: 50 }, (_, number) => [`r${number}`, number]))));
  assert.equal(series.since(0).length, 8);
});
