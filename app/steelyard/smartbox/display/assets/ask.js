// Asking for a text or a weight, with keys on the screen for those who have no others.

import { at, make, write } from "./page.js";
import { say, spoken } from "./texts.js";

const LETTERS = ["1234567890", "QWERTYUIOP", "ASDFGHJKL", "ZXCVBNM-"];
const DIGITS = ["789", "456", "123", "0"];

let given = null;

/**
 * Ask. `wrong(text)` gives what is wrong with what was written, or null; then `then(text)` is called.
 */
export function ask({ title, help, value, digits, wrong, then }) {
  given = { wrong, then };
  write(at("ask-title"), title);
  write(at("ask-help"), help);
  write(at("ask-wrong"), "");
  const input = at("ask-input");
  input.value = value;
  input.inputMode = matchMedia("(pointer: coarse)").matches ? "none" : digits ? "decimal" : "text";
  const rows = digits ? [...DIGITS.slice(0, 3), DIGITS[3] + (spoken() === "en" ? "." : ",")] : LETTERS;
  at("ask-keys").replaceChildren(...rows.map((row, number) => keys(row, number === rows.length - 1)));
  at("ask").showModal();
  input.focus();
  input.select();
}

function keys(row, isLast) {
  const line = make("div", {}, ...[...row].map((sign) => key(sign, sign, (text) => text + sign)));
  if (isLast) {
    if (row.length > 4) line.append(key("\u2423", say("key.space"), (text) => `${text} `));
    line.append(key("\u232b", say("key.delete"), (text) => text.slice(0, -1)));
  }
  return line;
}

function key(sign, name, change) {
  const button = make("button", { type: "button", "aria-label": name }, sign);
  button.addEventListener("click", () => {
    const input = at("ask-input");
    const isSelected = input.selectionStart === 0 && input.selectionEnd === input.value.length;
    input.value = change(isSelected && input.value ? "" : input.value);
  });
  return button;
}

/** Wire the dialog once. */
export function prepareToAsk() {
  at("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = at("ask-input").value.trim();
    const problem = given.wrong(text);
    write(at("ask-wrong"), problem ?? "");
    at("ask-input").setAttribute("aria-invalid", String(problem !== null));
    if (problem !== null) return;
    at("ask").close();
    given.then(text);
  });
  at("ask-cancel").addEventListener("click", () => at("ask").close());
}
