// A ticket to print.

import { at, make, memory } from "./page.js";
import { say, speak } from "./texts.js";

const query = new URLSearchParams(location.search);
const language = query.get("lang") ?? memory.get("language") ?? "en";
const here = location.pathname;

function lines(place, all) {
  at(place).replaceChildren(...all.map(({ label, value, strong }) => make("div", strong ? { class: "strong" } : {},
    make("dt", {}, label), make("dd", {}, value))));
}

async function show() {
  await speak(language);
  const answer = await fetch(`${here}/sheet?lang=${language}`);
  const sheet = await answer.json();
  if (!answer.ok) throw new Error(sheet.detail ?? sheet.title);
  document.title = `${sheet.title} ${sheet.lines[0].value}`;
  at("title").textContent = sheet.title;
  at("station").textContent = sheet.station;
  at("cells-title").textContent = sheet.cells_title;
  at("way-title").textContent = sheet.way_title;
  lines("lines", sheet.lines);
  lines("cells", sheet.cells);
  lines("way", sheet.way);
  document.body.classList.toggle("refused", sheet.refused);
  at("about-code").textContent = sheet.about_code;
  at("pdf").href = `${here}/ticket.pdf?lang=${language}`;
  if (sheet.code) await showCode();
  if (location.hash === "#print") print();
}

async function showCode() {
  const code = at("code");
  code.alt = say("sheet.code-alt");
  code.src = `${here}/code.svg`;
  code.hidden = false;
  at("receipt").href = `${here}/receipt.json`;
  at("receipt").hidden = false;
  await code.decode();
}

at("print").addEventListener("click", () => print());
show().catch((error) => {
  at("failed").textContent = say("sheet.failed", { text: error.message });
});
