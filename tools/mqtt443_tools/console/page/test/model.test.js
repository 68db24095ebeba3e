import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { MAX_DEVICES, addEvent, addMessage, deviceOf, devices, endHistory, messages, reset, setRegistered } from "../js/model.js";

const registered = (/** @type {string[]} */ ...ids) =>
  setRegistered(ids.map((client_id) => ({ client_id, username: client_id, enabled: true, version: null, last_seen: null })));

beforeEach(reset);

test("devices that are not registered make room, the oldest first", () => {
  for (let number = 0; number < MAX_DEVICES; number++) deviceOf(`stranger-${number}`);
  const first = devices.get("stranger-0");
  registered("late", "stranger-0");
  assert.equal(devices.size, MAX_DEVICES);
  assert.ok(devices.get("stranger-0") === first && devices.has("late"));
  assert.ok(!devices.has("stranger-1") && devices.has("stranger-2"));
  deviceOf("another");
  assert.ok(devices.has("another") && !devices.has("stranger-2"));
});

test("registered devices stay, and too many of them are left out", () => {
  const ids = Array.from({ length: MAX_DEVICES + 1 }, (_, number) => `device-${number}`);
  registered(...ids);
  assert.deepEqual([...devices.keys()], ids.slice(0, -1));
  assert.equal(deviceOf("stranger"), null);
});

test("a device that is no longer registered makes room again", () => {
  registered(...Array.from({ length: MAX_DEVICES }, (_, number) => `device-${number}`));
  registered("device-1");
  deviceOf("stranger");
  assert.ok(devices.has("stranger") && !devices.has("device-0"));
});

test("a live message is told from those of the history, whatever the clock says", () => {
  const message = (/** @type {number} */ received_at, client_id = "a") => ({ topic: "t", payload: "", qos: 1, retain: false, client_id, received_at });
  const history = [message(100.25), message(200.5), message(200.5)];
  for (const each of history) assert.ok(addMessage(each));
  endHistory(history);
  const live = [message(200.5), message(200.5), message(200.5), message(200.5, "b"), message(90), message(300)];
  assert.deepEqual(live.map(addMessage), [false, false, true, true, true, true]);
  assert.equal(messages.length, 7);
  reset();
  assert.ok(addMessage(message(100.25)));
});

test("a refusal counts after the clock was set back, and a late line of AWS's log does not", () => {
  const event = { time: 200, outcome: "accepted", reason: "CONNECTED", detail: "", client_id: "a", source: "", connection_id: "1" };
  const refused = { ...event, time: 100, outcome: "refused", reason: "NOT_AUTHENTICATED", connection_id: "2" };
  addEvent({ ...event, facts: {} });
  addEvent({ ...refused, facts: {} });
  assert.equal(devices.get("a")?.problem?.reason, "NOT_AUTHENTICATED");
  reset();
  addEvent(event);
  addEvent(refused);
  assert.equal(devices.get("a")?.problem, null);
});
