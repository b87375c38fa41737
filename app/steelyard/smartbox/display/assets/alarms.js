// The alarms: as a list, and as a banner that is read out when one is new.

import { at, make, write } from "./page.js";
import { faults, knows, moment, say } from "./texts.js";

let shown = null;

/** Show the alarms; `scales` gives the faults that a cell alarm is about. */
export function showAlarms(alarms, scales) {
  const lines = alarms.map((alarm) => ({ since: alarm.since, text: sentence(alarm, scales) }));
  const now = JSON.stringify(lines);
  if (now === shown) return;
  shown = now;
  write(at("alarm-banner"), lines.map((line) => line.text).join(" · "));
  const items = lines.map(({ since, text }) => make("li", {}, make("strong", {}, text),
    make("small", {}, say("alarms.since", { time: moment(since) }))));
  at("alarm-list").replaceChildren(...(items.length ? items : [make("li", { class: "none" }, say("alarms.none"))]));
}

function sentence({ name, text }, scales) {
  const [kind, place = ""] = name.split(":");
  if (!knows(`alarm.${kind}`)) return `${place ? `${place}: ` : ""}${text}`;
  const own = say(`alarm.${kind}`, { place });
  const cells = kind === "cell-fault" ? scales[place]?.faults ?? {} : {};
  return Object.keys(cells).length ? `${own} (${faults(cells)})` : own;
}

/** Show them anew: the language changed. */
export function forgetAlarms() {
  shown = null;
}
