// The bridge from above with its cells, and the same as a table.

import { at, draw, make, write } from "./page.js";
import { decimals, faults, kilograms, number, say } from "./texts.js";

const WIDE = 360, HIGH = 150, EDGE_X = 46, EDGE_Y = 34;

let drawn = null; // the bridge that the elements below belong to
let parts = new Map();
let middle = null;

/** Show the cells of a scale. */
export function showCells(bridge, scale) {
  if (drawn !== bridge) build(bridge);
  const fresh = scale !== null && !scale.old;
  const step = Math.max(1, bridge.ranges[0][1] / 20); // finer than that a cell's load is noise
  for (const [serial, part] of parts) {
    const load = fresh ? scale.cells?.[serial] : undefined;
    const fault = scale?.faults?.[serial];
    const shown = load === undefined ? "\u2013" : kilograms(Math.round(load / step) * step, decimals(step));
    write(part.load, shown);
    write(part.label, shown);
    const raw = fresh ? scale.raw?.[serial] : undefined;
    write(part.raw, raw == null ? "\u2013" : number(Math.round(raw * 1000), 1));
    const celsius = fresh ? scale.celsius?.[serial] : undefined;
    write(part.celsius, celsius == null ? "\u2013" : `${celsius.toFixed(1)}\u00a0°C`);
    write(part.state, fault ? faults({ [serial]: fault }) : scale ? say("cells.good") : "\u2013");
    part.row.className = part.group.className.baseVal = fault ? "faulty" : "good";
    part.disc.setAttribute("r", 7 + 9 * share(load, scale));
  }
  showMiddle(bridge, fresh ? scale.cells ?? {} : {});
}

function share(load, scale) {
  const all = Math.max(1, scale?.gross ?? 1);
  return load === undefined ? 0 : Math.sqrt(Math.min(1, Math.max(0, load / all)));
}

function build(bridge) {
  drawn = bridge;
  parts = new Map();
  const places = normalised(bridge.cells.map((cell) => cell.place));
  const svg = draw("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": say("cells.drawing") },
    draw("rect", { class: "platform", x: 20, y: 12, width: WIDE - 40, height: HIGH - 24, rx: 6 }));
  const rows = [];
  bridge.cells.forEach(({ serial }, number) => {
    const [x, y] = place(places[number]);
    const below = y > HIGH / 2 ? -1 : 1;
    const disc = draw("circle", { cx: x, cy: y, r: 7 });
    const label = draw("text", { x, y: y + below * 29 + 4 });
    const cross = draw("path", { class: "cross", d: `M${x - 12} ${y - 12}l24 24m0 -24l-24 24` });
    const name = draw("text", { class: "serial", x, y: y - below * 21 + 4 }, serial);
    const group = draw("g", {}, disc, cross, name, label);
    svg.append(group);
    const cell = (tag = "td") => make(tag);
    const [load, raw, celsius, state] = [cell(), cell(), cell(), cell()];
    const row = make("tr", {}, make("th", { scope: "row" }, serial), load, raw, celsius, state);
    rows.push(row);
    parts.set(serial, { disc, label, group, load, raw, celsius, state, row });
  });
  middle = draw("path", { class: "middle", d: "M-7 0h14M0 -7v14" });
  svg.append(middle);
  at("drawing").replaceChildren(svg);
  at("cell-rows").replaceChildren(...rows);
}

/** Places as parts of the bridge's length and width, 0 to 1. */
function normalised(places) {
  const ranges = [0, 1].map((axis) => {
    const all = places.map((one) => one[axis]);
    return [Math.min(...all), Math.max(...all)];
  });
  return places.map((one) => one.map((value, axis) => {
    const [least, most] = ranges[axis];
    return most > least ? (value - least) / (most - least) : 0.5;
  }));
}

const place = ([along, across]) =>
  [EDGE_X + along * (WIDE - 2 * EDGE_X), EDGE_Y + across * (HIGH - 2 * EDGE_Y)];

/** Where the load's middle is, while there is a load. */
function showMiddle(bridge, loads) {
  const all = bridge.cells.map(({ serial }) => Math.max(0, loads[serial] ?? 0));
  const sum = all.reduce((a, b) => a + b, 0);
  const there = sum >= bridge.minimum;
  middle.classList.toggle("there", there);
  if (!there) return;
  const places = normalised(bridge.cells.map((cell) => cell.place));
  const spot = [0, 1].map((axis) => all.reduce((a, load, n) => a + load * places[n][axis], 0) / sum);
  middle.setAttribute("transform", `translate(${place(spot).join(" ")})`);
}

/** Build anew: the language changed. */
export function forgetCells() {
  drawn = null;
}
