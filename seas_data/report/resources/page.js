"use strict";
// Shared helpers. Everything that comes from the data goes through textContent.
const page = JSON.parse(document.getElementById("page-data").textContent);
const texts = document.getElementById("page-texts") ? JSON.parse(document.getElementById("page-texts").textContent) : {};

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function shown(value, kind) {
  if (value === null || value === undefined) return "";
  if (kind !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Math.abs(value) >= 10000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(Math.abs(value) < 1 ? 3 : 4)));
}

function textOf(id) {
  return Object.hasOwn(texts, id) ? texts[id] : null;
}

function revealer(id, place) {
  // A button that shows and hides the text of one prompt. Until it is clicked the text is in no element.
  // place: inserts an element into the page and returns what it inserted.
  if (textOf(id) === null) return null;
  let put = null;
  return make("button", {type: "button", class: "reveal", "aria-expanded": "false", onclick: (event) => {
    if (put) { put.remove(); put = null; } else {
      const box = make("div", {class: "prompt", dir: "auto"});
      box.textContent = textOf(id);
      put = place(box);
    }
    event.currentTarget.setAttribute("aria-expanded", String(Boolean(put)));
    event.currentTarget.textContent = put ? "hide text" : "show text";
  }}, "show text");
}

const tip = document.getElementById("tip");

function tooltip(handler, event, item, value) {
  if (!value) { tip.hidden = true; return; }
  const list = make("dl");
  for (const [name, each] of Object.entries(value)) {
    const term = make("dt"), description = make("dd");
    term.textContent = name; description.textContent = String(each);
    list.append(term, description);
  }
  tip.replaceChildren(list);
  tip.hidden = false;
  const room = 14;
  const left = Math.min(event.clientX + room, window.innerWidth - tip.offsetWidth - 4);
  const below = event.clientY + room + tip.offsetHeight < window.innerHeight;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${below ? event.clientY + room : Math.max(4, event.clientY - room - tip.offsetHeight)}px`;
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
document.addEventListener("scroll", () => { tip.hidden = true; }, {passive: true});

const contents = document.querySelector("nav details");
if (contents && window.innerWidth <= 1000) contents.open = false;
