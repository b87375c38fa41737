// The weight in large digits with its marks, and what is said of it aloud.

import { at, write } from "./page.js";
import { because, decimals, kilograms, number, say } from "./texts.js";

const QUIET = 3000; // milliseconds between two announcements

let announced = "";
let last = -Infinity;

/** Show a scale; `bridge` is what does not change of it; null where there is nothing to show. */
export function showWeight(bridge, scale) {
  const places = decimals(bridge.ranges[0][1]);
  const isNet = scale?.tare_kind != null;
  const fresh = scale !== null && !scale.old;
  const weight = fresh ? (isNet ? scale.net : scale.gross) ?? null : null;
  const kind = isNet ? "weight.net" : "weight.gross";

  write(at("kind"), say(kind));
  write(at("number"), weight === null ? "\u2013\u2013\u2013\u2013" : number(weight, places));
  at("digits").className = weight === null ? "none" : scale.state;
  const time = String(scale?.time ?? "");
  if (at("digits").dataset.time !== time) at("digits").dataset.time = time; // bench/display.py watches it
  mark("stable", fresh && scale.stable && weight !== null);
  mark("zero", fresh && scale.zero && weight !== null);
  mark("net", fresh && isNet);
  mark("degraded", fresh && scale.degraded);

  const other = fresh ? scale[isNet ? "gross" : "net"] : null;
  write(at("other-kind"), say(isNet ? "weight.gross" : "weight.net"));
  write(at("other"), other == null ? "\u2013" : kilograms(other, places));
  write(at("tare-kind"), say(scale?.tare_kind === "preset" ? "weight.preset-tare" : "weight.tare"));
  write(at("tare"), isNet ? kilograms(scale.tare, places) : "\u2013");
  write(at("vehicle"), scale?.vehicle ?? say("vehicle.none"));
  const text = stateText(scale);
  write(at("state"), text);
  write(at("limits"), limits(bridge));
  announce(say(kind), weight === null ? say("weight.none") : kilograms(weight, places), scale, text);
}

function mark(name, on) {
  at(`mark-${name}`).classList.toggle("on", Boolean(on));
  at(`mark-${name}`).setAttribute("aria-hidden", String(!on));
}

function stateText(scale) {
  if (scale === null) return "";
  if (scale.old) return say("state.old");
  if (scale.state === "fault" && scale.reason) return because(scale.reason);
  if (scale.state === "overload" || scale.state === "underload") return say(`state.${scale.state}`);
  return say(`step.${scale.step}`);
}

function limits(bridge) {
  const maxima = bridge.ranges.map(([maximum]) => kilograms(maximum)).join(" / ");
  const intervals = bridge.ranges.map(([, interval]) => kilograms(interval)).join(" / ");
  return say("weight.limits", {
    class: bridge.class, max: maxima, min: kilograms(bridge.minimum), interval: intervals,
  });
}

/** Aloud: what changed and came to rest; never a rolling number, never more than one in QUIET. */
function announce(kind, weight, scale, text) {
  const moving = scale !== null && !scale.old && scale.state === "motion";
  const said = scale === null ? say("weight.none")
    : moving ? say("state.motion") : say("weight.spoken", { kind, weight, state: stateOrText(scale, text) });
  const now = performance.now();
  if (said === announced || now - last < QUIET) return;
  announced = said;
  last = now;
  write(at("spoken"), said);
}

function stateOrText(scale, text) {
  return scale.old || scale.state === "fault" ? text : say(`state.${scale.state}`);
}
