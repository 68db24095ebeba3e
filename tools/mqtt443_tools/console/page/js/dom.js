/** Builds the page's elements. Everything that comes from a device becomes text here, never HTML. */

import { shownTime } from "./format.js";

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number | boolean | EventListener | undefined>} [attributes] with `on...` for listeners
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
  return element;
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`no element ${id}`);
  return element;
}

/**
 * Change the text of an element only if it differs, so that nothing is laid out anew for the same text.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make the children of an element these, in this order. Those that are there already stay, and so keep what a person has
 * opened, selected, scrolled or focused.
 * @param {Element} parent
 * @param {Element[]} wanted
 */
export function setChildren(parent, wanted) {
  const stay = new Set(wanted);
  for (const child of [...parent.children]) if (!stay.has(child)) child.remove();
  let next = parent.firstElementChild;
  for (const element of wanted) {
    if (next && element === next.nextElementSibling) { // one that moves down, rather than all below it that move up
      const moved = next;
      next = element;
      moved.remove();
    }
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
}

/**
 * A list that draws each of its items once.
 * @template T
 */
export class Rows {
  /**
   * @param {HTMLElement} into
   * @param {(item: T) => HTMLElement} elementOf
   * @param {(item: T) => unknown} [keyOf] what tells an item from another; default: the item itself
   */
  constructor(into, elementOf, keyOf = (item) => item) {
    this.into = into;
    this.elementOf = elementOf;
    this.keyOf = keyOf;
    /** @type {Map<unknown, HTMLElement>} */
    this.elements = new Map();
  }

  /** @param {T[]} items in the order in which they are shown */
  show(items) {
    this.elements = new Map(items.map((item) => {
      const key = this.keyOf(item);
      return [key, this.elements.get(key) ?? this.elementOf(item)];
    }));
    setChildren(this.into, [...this.elements.values()]);
  }

  /** Draw every item anew next time. */
  forget() {
    this.elements.clear();
  }
}

/**
 * A time in the viewer's zone, with UTC on hover.
 * @param {number} unixS
 */
export function timeElement(unixS) {
  const at = new Date(unixS * 1000);
  return h("time", { datetime: at.toISOString(), title: at.toISOString() }, shownTime(at));
}

const COPIED_MS = 1500;

/**
 * A button that copies a text.
 * @param {string} text
 * @param {string} [label]
 */
export function copyButton(text, label = "Copy") {
  const button = h("button", { class: "copy", type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser refused";
    }
    setTimeout(() => { button.textContent = label; }, COPIED_MS);
  } }, label);
  return button;
}

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 90;
const HEIGHT = 22;

/** A line through the last values; empty for fewer than two. */
export class Sparkline {
  constructor() {
    this.element = document.createElementNS(SVG, "svg");
    this.element.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.element.setAttribute("aria-hidden", "true");
    /** @type {SVGPolylineElement | null} */
    this.line = null;
  }

  /** @param {number[]} values */
  draw(values) {
    if (values.length < 2) return;
    if (!this.line) {
      this.line = document.createElementNS(SVG, "polyline");
      this.element.append(this.line);
    }
    const low = Math.min(...values);
    const span = Math.max(...values) - low || 1;
    const points = values.map((value, at) => {
      const x = (at / (values.length - 1)) * WIDTH;
      return `${x.toFixed(1)},${(HEIGHT - 2 - ((value - low) / span) * (HEIGHT - 4)).toFixed(1)}`;
    });
    this.line.setAttribute("points", points.join(" "));
  }
}

/**
 * Offer a file.
 * @param {string} name
 * @param {string | Uint8Array<ArrayBuffer>} content
 */
export function download(name, content) {
  const url = URL.createObjectURL(new Blob([content]));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
