/** The numeric readings of a device over time, bounded. Every message is read once, however often a chart is drawn. */

import { readings } from "./format.js";

/** @typedef {import("./format.js").Message} Message */
/** @typedef {[number[], number[]]} Points times in Unix seconds, ascending, and values */

export const MAX_POINTS = 20_000;
const MAX_SERIES = 8;

export class Series {
  constructor() {
    /** @type {Map<string, Points>} */
    this.points = new Map();
  }

  /** @param {Message} message drawn no earlier than those before: a clock can be set back, and a chart needs ascending times */
  add(message) {
    if (!message.topic.startsWith("telemetry/")) return;
    for (const [name, value] of Object.entries(readings(message) ?? {})) {
      if (typeof value !== "number" || name === "seq") continue;
      let found = this.points.get(name);
      if (!found) {
        if (this.points.size >= MAX_SERIES) continue;
        found = [[], []];
        this.points.set(name, found);
      }
      found[0].push(Math.max(message.received_at, found[0].at(-1) ?? 0));
      found[1].push(value);
      if (found[0].length > 1.1 * MAX_POINTS) for (const each of found) each.splice(0, each.length - MAX_POINTS);
    }
  }

  /** A copy that stays as it is. */
  copy() {
    const same = new Series();
    for (const [name, [times, values]] of this.points) same.points.set(name, [[...times], [...values]]);
    return same;
  }

  /**
   * @param {number} unixS
   * @returns {[string, Points][]} the points since then by name
   */
  since(unixS) {
    return [...this.points].map(([name, [times, values]]) => {
      const first = firstSince(times, unixS);
      return [name, [times.slice(first), values.slice(first)]];
    });
  }
}

/** @param {number[]} times ascending @param {number} unixS */
function firstSince(times, unixS) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < unixS) low = middle + 1;
    else high = middle;
  }
  return low;
}
