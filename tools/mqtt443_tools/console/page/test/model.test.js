import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { MAX_DEVICES, deviceOf, devices, reset, setRegistered } from "../js/model.js";

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
