// The texts in the chosen language, and how weights and times are written.

const GROUP = "\u00a0"; // a point or a comma would be a decimal sign to somebody
const DECIMAL = { en: ".", pt: ",", de: "," };

let texts = {};
let language = "en";
let zone = "UTC";
let clock = null;

/** Load a language and put it into the page: `data-say` is a text, `data-label` an aria-label. */
export async function speak(wanted) {
  const answer = await fetch(`/display/files/${wanted}.json`);
  if (!answer.ok) throw new Error(`no texts: ${answer.status}`);
  texts = await answer.json();
  language = wanted;
  document.documentElement.lang = wanted;
  for (const one of document.querySelectorAll("[data-say]")) one.textContent = say(one.dataset.say);
  for (const one of document.querySelectorAll("[data-label]")) {
    one.setAttribute("aria-label", say(one.dataset.label));
  }
}

export const spoken = () => language;

export function setZone(name) {
  zone = name;
  clock = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  });
}

export const knows = (key) => Object.hasOwn(texts, key);

/** The text of a key with its places filled. */
export function say(key, values = {}) {
  return (texts[key] ?? key).replace(/\{([a-z]+)\}/g, (place, name) => values[name] ?? place);
}

/** How many decimals a scale with this interval (grams) shows. */
export function decimals(interval) {
  const found = [1000, 100, 10].findIndex((size) => interval % size === 0);
  return found === -1 ? 3 : found;
}

/** A weight without its unit: whole grams in, kilograms with so many decimals out. */
export function number(grams, places = 0) {
  const size = Math.abs(grams);
  const whole = Math.floor(size / 1000).toString().replace(/\B(?=(\d{3})+$)/g, GROUP);
  const all = (size % 1000).toString().padStart(3, "0").replace(/0+$/, "").padEnd(places, "0");
  const sign = grams < 0 ? "\u2212" : "";
  return sign + whole + (all ? DECIMAL[language] + all : "");
}

export const kilograms = (grams, places = 0) => `${number(grams, places)}${GROUP}kg`;

/** Grams of what somebody wrote as kilograms; null when it is no such number. */
export function readKilograms(written) {
  const match = /^(\d{1,7})(?:[.,](\d{1,3}))?$/.exec(written.replace(/[\s\u00a0]/g, ""));
  return match ? Number(match[1]) * 1000 + Number((match[2] ?? "").padEnd(3, "0")) : null;
}

/** Date and time in the station's zone. */
export function moment(time) {
  const part = Object.fromEntries(clock.formatToParts(new Date(time)).map((p) => [p.type, p.value]));
  return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second}`;
}

/** A reason in the chosen language; one without a text of its own as the SmartBox says it. */
export function because(reason) {
  if (!knows(`why.${reason.code}`)) return reason.text;
  const values = {};
  for (const [name, value] of Object.entries(reason.values)) {
    values[name] = name === "cells" ? faults(value)
      : name === "seconds" || value === null ? value : kilograms(value);
  }
  return say(`why.${reason.code}`, values);
}

/** What is wrong with cells: {serial: fault}. */
export function faults(cells) {
  return Object.entries(cells).map(([cell, fault]) =>
    knows(`fault.${fault}`) ? say(`fault.${fault}`, { cell }) : `${cell}: ${fault}`).join("; ");
}
