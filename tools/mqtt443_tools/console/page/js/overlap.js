/** Tells live messages from those that the history had already. Their times do not: a clock can be set back. */

/** @typedef {import("./format.js").Message} Message */

export class Overlap {
  /** @param {Message[]} history */
  constructor(history) {
    /** How many messages of the history have a key. @type {Map<string, number>} */
    this.counts = new Map();
    for (const key of history.map(keyOf)) this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  /** Whether the history had a live message; each of its messages counts once. @param {Message} message */
  has(message) {
    const key = keyOf(message);
    const count = this.counts.get(key) ?? 0;
    if (count > 0) this.counts.set(key, count - 1);
    return count > 0;
  }
}

/** @param {Message} message */
const keyOf = ({ received_at, client_id, topic }) => JSON.stringify([received_at, client_id, topic]);
