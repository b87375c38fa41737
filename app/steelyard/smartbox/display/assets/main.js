// The display: what the SmartBox tells, and what is chosen here, put on the page.

import { forgetAlarms, showAlarms } from "./alarms.js";
import { prepareToAsk } from "./ask.js";
import { makeButtons, showButtons } from "./buttons.js";
import { forgetCells, showCells } from "./cells.js";
import { at, make, memory, write } from "./page.js";
import { follow } from "./stream.js";
import { decimals, kilograms, say, setZone, speak } from "./texts.js";
import { showTickets } from "./tickets.js";
import { showWeight } from "./weight.js";

let station = null;
let scales = null;
let tickets = null;
let link = "";
let hasTexts = false;
let chosen = memory.get("weighbridge");

const live = () => link === "live";
const bridge = () => station.weighbridges.find((one) => one.name === chosen) ?? station.weighbridges[0];
/** What the chosen scale shows; null without a connection, and where there is no live weight. */
const scale = () => (live() ? scales?.scales[bridge().name] ?? null : null);

function show() {
  if (station === null || !hasTexts) return;
  showWeight(bridge(), scale());
  showCells(bridge(), scale());
  showButtons(bridge(), scale(), lastTicket(), { live: live(), commands: station.commands });
  showBridges();
  if (live() && scale() === null) write(at("state"), say("weight.no-cycle"));
  if (scales !== null) showAlarms(scales.alarms, scales.scales);
}

function lastTicket() {
  const found = tickets?.tickets.find(({ ticket }) => ticket.scaleSerialNumber === bridge().scale);
  return found?.ticket ?? null;
}

function showBridges() {
  const buttons = at("bridges").children;
  station.weighbridges.forEach((one, number) => {
    const shown = live() ? scales?.scales[one.name] : null;
    const weight = shown && !shown.old && shown.gross != null
      ? kilograms(shown.gross, decimals(one.ranges[0][1])) : "\u2013";
    buttons[number].setAttribute("aria-pressed", String(one === bridge()));
    write(buttons[number].lastChild, weight);
  });
}

function makeBridges() {
  at("bridges").replaceChildren(...station.weighbridges.map((one) => {
    const button = make("button", { type: "button" }, make("b", {}, one.name), " ", make("span"));
    button.addEventListener("click", () => {
      memory.set("weighbridge", chosen = one.name);
      show();
    });
    return button;
  }));
}

const bridgeOf = (serial) =>
  station.weighbridges.find((one) => one.scale === serial)?.name ?? serial;

function showLink() {
  if (link === "" || !hasTexts) return;
  write(at("link"), link === "live" ? say(station?.commands ? "link.live" : "link.read-only") : say(`link.${link}`));
  document.documentElement.dataset.link = link;
}

/** Everything that holds texts is made anew. */
async function chooseLanguage(language) {
  await speak(language);
  hasTexts = true;
  at("language").value = language;
  document.title = say("page.title");
  forgetAlarms();
  forgetCells();
  showLink();
  show();
  showLastTickets();
}

function showLastTickets() {
  if (tickets !== null && station !== null && hasTexts) showTickets(tickets, bridgeOf);
}

function chooseTheme(theme) {
  at("theme").value = theme;
  document.documentElement.dataset.theme = theme;
}

function start() {
  makeButtons();
  prepareToAsk();
  chooseTheme(memory.get("theme") ?? "system");
  at("theme").addEventListener("change", (event) => {
    memory.set("theme", event.target.value);
    chooseTheme(event.target.value);
  });
  at("language").addEventListener("change", (event) => {
    memory.set("language", event.target.value);
    chooseLanguage(event.target.value);
  });
  let build = null;
  follow({
    async station(told) {
      // Another SmartBox than the one that gave this page: take its page.
      if (build !== null && build !== told.build) return location.reload();
      build = told.build;
      station = told;
      setZone(told.time_zone);
      write(at("station"), told.station);
      makeBridges();
      await chooseLanguage(memory.get("language") ?? told.language);
    },
    scales(told) {
      scales = told;
      show();
    },
    tickets(told) {
      tickets = told;
      showLastTickets();
      show();
    },
    link(state) {
      link = state;
      showLink();
      show();
    },
  });
}

start();
