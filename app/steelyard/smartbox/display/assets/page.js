// The document: finding, making and filling its elements. Text is only ever set as text.

export const at = (id) => document.getElementById(id);

/** An element with attributes and children; a child is an element or a text. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Set a text only where it changes: a screen reader and a slow machine have less to do. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** What is remembered of one's choices; a browser that forbids it forgets them. */
export const memory = {
  get(name) {
    try { return localStorage.getItem(`steelyard.${name}`); } catch { return null; }
  },
  set(name, value) {
    try { localStorage.setItem(`steelyard.${name}`, value); } catch { /* forgotten, then */ }
  },
};
