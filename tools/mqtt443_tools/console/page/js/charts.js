/**
 * Charts of a device's numeric readings. A part that a person has zoomed into stays while readings come in. Charts
 * follow the width of their box, and the colours that the viewer prefers.
 */

import uPlot from "../vendor/uPlot.esm.js";
import { h } from "./dom.js";
import { shownValue, visible } from "./format.js";
import { Series } from "./series.js";

/** @typedef {import("./series.js").Points} Points */

/** What a chart shows before and after a point that is alone, in seconds. */
const ALONE_S = 30;
/** A line through this many points or more has no dots. */
const MAX_DOTS = 40;
const HEIGHT = 150;
const MIN_WIDTH = 240;

export class Charts {
  /** @param {HTMLElement} into */
  constructor(into) {
    this.into = into;
    this.series = new Series();
    /** What there was at the moment of a pause; null while the charts go on. @type {{series: Series, at: number} | null} */
    this.paused = null;
    /** @type {Map<string, uPlot>} */
    this.plots = new Map();
    this.colours = colours();
    this.isDark = matchMedia("(prefers-color-scheme: dark)");
    this.recolour = () => {
      this.colours = colours();
      for (const plot of this.plots.values()) plot.redraw();
    };
    this.isDark.addEventListener("change", this.recolour);
    this.resized = new ResizeObserver(() => {
      const width = chartWidth(into);
      for (const plot of this.plots.values()) if (plot.width !== width) plot.setSize({ width, height: HEIGHT });
    });
    this.resized.observe(into);
  }

  /** @param {boolean} isPaused whether to show only what there is now, whatever comes in */
  pause(isPaused) {
    this.paused = isPaused ? { series: this.series.copy(), at: Date.now() / 1000 } : null;
  }

  /**
   * @param {number} seconds how far back
   * @param {boolean} [isWhole] whether to leave the part that was zoomed into
   * @returns {boolean} whether there is a reading to show
   */
  draw(seconds, isWhole = false) {
    const { series, at } = this.paused ?? { series: this.series, at: Date.now() / 1000 };
    const found = series.since(at - seconds);
    for (const [name, data] of found) {
      const plot = this.plots.get(name);
      if (plot) redraw(plot, data, isWhole);
      else if (data[0].length > 0) this.plots.set(name, this.plotOf(name, data));
    }
    return found.some(([, data]) => data[0].length > 0);
  }

  destroy() {
    this.resized.disconnect();
    this.isDark.removeEventListener("change", this.recolour);
    for (const plot of this.plots.values()) plot.destroy();
    this.plots.clear();
  }

  /** @param {string} name @param {Points} data */
  plotOf(name, data) {
    const box = h("div", { class: "chart", role: "img", "aria-label": `Chart of ${visible(name)}` });
    this.into.append(box);
    const axis = { stroke: () => this.colours.axis, grid: { stroke: () => this.colours.grid, width: 1 }, ticks: { show: false } };
    return new uPlot({
      width: chartWidth(this.into), height: HEIGHT, scales: { x: { range } }, axes: [axis, { ...axis, size: 84 }],
      series: [{}, { label: visible(name), stroke: () => this.colours.line, width: 2, points: { show: (plot) => plot.data[0].length < MAX_DOTS }, value: (_, v) => (v === null ? "" : shownValue(v)) }],
    }, data, box);
  }
}

/** @param {uPlot} plot @param {Points} data @param {boolean} isWhole */
function redraw(plot, data, isWhole) {
  const times = plot.data[0];
  const { min, max } = plot.scales.x;
  if (isWhole || min === undefined || max === undefined || (min <= times[0] && max >= times[times.length - 1]) || times.length < 2) {
    plot.setData(data);
    return;
  }
  plot.setData(data, false);
  plot.setScale("x", { min, max });
}

/** The range of the time axis. @param {uPlot} _ @param {number} min @param {number} max @returns {[number, number]} */
function range(_, min, max) {
  return max > min ? [min, max] : [min - ALONE_S, min + ALONE_S];
}

/** Two charts side by side where there is room. @param {HTMLElement} into */
function chartWidth(into) {
  const { clientWidth: width } = into;
  return Math.max(MIN_WIDTH, width > 700 ? Math.floor((width - 16) / 2) : width);
}

/** What charts are drawn with now. */
function colours() {
  return { axis: colour("--muted"), grid: colour("--line"), line: colour("--accent") };
}

/** The colour that a variable has now: a canvas cannot read light-dark(). @param {string} name */
function colour(name) {
  const probe = h("span", {});
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
