/** Starts the page: tabs, the live connection, and who gets what comes through it. */

import { GONE, api, connect } from "./live.js";
import { dialog } from "./actions.js";
import * as eventsView from "./events.js";
import { drawFaults, reload, take } from "./device.js";
import * as devicesView from "./devices.js";
import { byId } from "./dom.js";
import { endpoint } from "./endpoint.js";
import { visible } from "./format.js";
import * as messagesView from "./messages.js";
import { addEvent, addMessage, devices, endHistory, faultMeanings, noteReadings, reset, setFaults, setOnline, setUpdates, totals } from "./model.js";

const TABS = ["devices", "messages", "events"];

/** @param {string} name */
function select(name) {
  for (const each of TABS) {
    const tab = byId(`tab-${each}`);
    tab.setAttribute("aria-selected", String(each === name));
    tab.setAttribute("tabindex", each === name ? "0" : "-1");
    byId(each).hidden = each !== name;
  }
  eventsView.draw(true);
}

/** @param {string} text @param {boolean} isProblem */
function say(text, isProblem) {
  const status = byId("status");
  status.className = isProblem ? "problem" : "";
  if (status.textContent !== text) status.textContent = text;
}

/** @param {import("./model.js").Fault[]} faults those that are on */
function showFaults(faults) {
  setFaults(faults);
  drawFaults();
  const button = byId("faults-off");
  button.hidden = faults.length === 0;
  button.textContent = `${faults.length} ${faults.length === 1 ? "fault" : "faults"} on: switch off`;
}

let problem = "";
/** Why there is no history. */
let noHistory = "";

function sayState() {
  const wrong = problem || noHistory;
  say(wrong ? visible(wrong) : "live", wrong !== "");
}

/** @param {Record<string, any>} batch @param {boolean} isFirst */
function receive(batch, isFirst) {
  if (isFirst) {
    reset();
    devicesView.clear();
    byId("source").textContent = visible(batch.title);
    endpoint.options = visible(batch.options);
    noHistory = batch.no_history ?? "";
    faultMeanings.clear();
    for (const [name, meaning] of Object.entries(batch.fault_meanings)) faultMeanings.set(name, String(meaning));
    for (const message of batch.last) noteReadings(message);
    for (const device of devices.values()) device.series.clear(); // the messages below hold these values again
    void devicesView.refresh();
    reload();
  }
  for (const message of batch.messages) {
    if (addMessage(message) && !isFirst) take(message);
  }
  if (isFirst) endHistory(batch.messages);
  totals.dropped += batch.dropped ?? 0;
  for (const event of batch.events) addEvent(event);
  if (batch.events.length) eventsView.draw();
  if (batch.online) setOnline(batch.online);
  if (batch.updates) setUpdates(batch.updates);
  if (batch.faults !== undefined) showFaults(batch.faults ?? []);
  if (batch.problem !== undefined) problem = batch.problem ?? "";
  sayState();
}

history.replaceState(null, "", "/"); // the link's token leaves the address bar
for (const name of TABS) byId(`tab-${name}`).addEventListener("click", () => select(name));
byId("tab-devices").parentElement?.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step === undefined) return;
  const now = TABS.findIndex((name) => byId(`tab-${name}`).getAttribute("aria-selected") === "true");
  const next = TABS[(now + step + TABS.length) % TABS.length];
  select(next);
  byId(`tab-${next}`).focus();
});
byId("faults-off").addEventListener("click", () => void api("fault", { client_id: null, fault: null, on: false }).catch((error) => say(visible(error.message), true)));
dialog().addEventListener("close", () => dialog().open || dialog().replaceChildren()); // a password is not kept
devicesView.start();
messagesView.start();
eventsView.start();
connect(receive, (isUp) => isUp ? sayState() : say(GONE, true));
