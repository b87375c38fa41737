// The operator's buttons. One that cannot be pressed stays reachable and says why.

import { ask } from "./ask.js";
import { at, make, write } from "./page.js";
import { because, decimals, kilograms, number, readKilograms, say, spoken } from "./texts.js";

const NAMES = ["zero", "tare", "preset-tare", "clear-tare", "vehicle", "ticket", "print"];
const MOST_BYTES = 32; // of a vehicle

let now = null; // what is shown: {bridge, scale, refusals, ticket}

/** Make the buttons, once. */
export function makeButtons() {
  at("buttons").replaceChildren(...NAMES.map((name) => {
    const button = make("button", {
      type: "button", id: `button-${name}`, "aria-describedby": `why-${name}`,
    }, make("span", { "data-say": `button.${name}` }));
    button.addEventListener("click", () => press(name));
    return make("div", { class: "button" }, button, make("small", { id: `why-${name}` }));
  }));
}

/** Show which buttons can be pressed. `ticket` is the bridge's last one; a reason is a JSON reason. */
export function showButtons(bridge, scale, ticket, { live, commands }) {
  now = { bridge, scale, ticket, refusals: refusals(scale, ticket, live, commands) };
  for (const name of NAMES) {
    const why = now.refusals[name];
    at(`button-${name}`).setAttribute("aria-disabled", String(why !== null));
    write(at(`why-${name}`), why ?? "");
  }
}

function refusals(scale, ticket, live, commands) {
  const all = (text) => Object.fromEntries(NAMES.map((name) => [name, text]));
  const print = ticket ? null : say("why.no-ticket-yet");
  if (!live) return all(say("why.no-connection"));
  if (!commands) return { ...all(say("link.read-only")), print };
  if (scale === null) return { ...all(say("weight.no-cycle")), print };
  const found = { print };
  for (const name of NAMES.slice(0, -1)) {
    const why = scale.refusals[name === "preset-tare" ? "vehicle" : name];
    found[name] = why ? because(why) : null;
  }
  return found;
}

async function press(name) {
  const { bridge, scale, ticket } = now;
  const why = now.refusals[name];
  if (why !== null) {
    tell(say("button.not-now", { button: say(`button.${name}`), reason: why }), true);
    return;
  }
  // What is done is done for the load that was shown, or not at all.
  const load = scale?.load;
  if (name === "print") location.assign(`/display/tickets/${ticket.ticketID}?lang=${spoken()}#print`);
  else if (name === "preset-tare") askForTare(bridge, load);
  else if (name === "vehicle") askForVehicle(bridge, scale, load);
  else await send(bridge, name, name, { load });
}

function askForTare(bridge, load) {
  const [maximum, interval] = bridge.ranges[0];
  const [most] = bridge.ranges.at(-1);
  ask({
    title: say("tare.enter"),
    help: say("tare.help", { interval: kilograms(interval), max: kilograms(most) }),
    value: "",
    digits: true,
    wrong: (text) => readKilograms(text) === null
      ? say("tare.not-a-number", { example: number(Math.min(maximum, interval * 100), decimals(interval)) })
      : null,
    then: (text) => send(bridge, "tare", "tare", { load, grams: readKilograms(text) }),
  });
}

function askForVehicle(bridge, scale, load) {
  ask({
    title: say("vehicle.enter"),
    help: say("vehicle.help"),
    value: scale.vehicle ?? "",
    digits: false,
    wrong: (text) => new TextEncoder().encode(text).length > MOST_BYTES ? say("vehicle.too-long") : null,
    then: (vehicle) => send(bridge, "vehicle", "vehicle", { load, ...(vehicle && { vehicle }) }),
  });
}

async function send(bridge, action, name, body) {
  let answer, content;
  try {
    answer = await fetch(`/weighbridges/${encodeURIComponent(bridge.name)}/${action}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5000),
    });
    content = await answer.json();
  } catch {
    tell(say("done.failed"), true);
    return;
  }
  if (answer.ok) {
    tell(say(`done.${name}`, {
      tare: kilograms(content.tare), vehicle: content.vehicle ?? say("vehicle.none"),
    }), false);
  } else {
    const reason = content.reason ? because(content.reason) : content.detail ?? content.title;
    tell(say("button.not-now", { button: say(`button.${action}`), reason }), true);
  }
}

let clearing = 0;

function tell(text, isBad) {
  const message = at("message");
  message.className = isBad ? "bad" : "good";
  message.textContent = text;
  clearTimeout(clearing);
  clearing = setTimeout(() => { message.textContent = ""; }, 10_000);
}
