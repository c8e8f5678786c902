"use strict";
// Keys press a button, follow a link or move the focus. Pages are fetched and put in place of the one before, so the
// keys work at every moment. Nothing here reads or writes a text of the data; without scripts, forms and links do.
const MOVES = "jkus"; // keys that may be pressed ahead: they decide nothing about an item that is not shown yet
const ahead = [];
let refused = "";
let latest = null; // the request whose answer is to be shown
let busy = document.readyState === "loading"; // until an item is there

function hint(text) {
  const place = document.getElementById("hint");
  if (place) place.textContent = text;
}

function refuse(what) {
  const text = `${what} was not taken, because the next item was not shown yet. Look at this item and press again.`;
  if (busy) refused = text;
  hint(text);
}

function settle() {
  busy = false;
  document.documentElement.removeAttribute("aria-busy");
  document.getElementById("item")?.focus();
  if (refused) hint(refused);
  refused = "";
  while (ahead.length && !busy) act(ahead.shift());
}

function arrive(request, keep) {
  if (request !== latest) return;
  const answer = request.response;
  if (!answer?.querySelector("main")) {
    hint("The server refused this; open the address that the command printed. The last decision may be missing.");
    ahead.length = 0;
  } else {
    document.title = answer.title;
    document.body.replaceWith(document.adoptNode(answer.body));
    if (!keep && new URL(request.responseURL).pathname === "/") history.pushState(null, "", request.responseURL);
    scrollTo(0, 0);
  }
  settle();
}

function go(method, address, fields = null, keep = false) {
  busy = true;
  document.documentElement.setAttribute("aria-busy", "true");
  const request = latest = new XMLHttpRequest();
  request.open(method, address);
  request.responseType = "document";
  request.addEventListener("load", () => arrive(request, keep));
  request.addEventListener("error", () => {
    if (request !== latest) return;
    ahead.length = 0;
    settle();
    hint("The server does not answer. Start the command again and open its address; the last decision may be missing.");
  });
  request.send(fields);
}

function act(key) {
  const texts = document.getElementById("texts");
  if (key === "v" && texts) {
    texts.open = !texts.open;
    return true;
  }
  const field = document.querySelector(`[data-focus="${key}"]`);
  if (field) {
    field.focus();
    field.select?.();
    return true;
  }
  const control = document.querySelector(`[data-key="${key}"]`);
  if (!control || control.disabled) return false;
  if (texts && !texts.open && !("unread" in control.dataset)) {
    texts.open = true;
    hint("Nothing is decided yet: the text was hidden. Read it, then press the key again.");
    return true;
  }
  control.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const isKey = /^[0-9jkuslnv]$/.test(event.key), inField = event.target.closest("input, select, textarea");
  if (busy) {
    const presses = inField || event.key === "Enter" || event.key === " ";
    if (event.key.length > 1 && event.key !== "Enter") return;
    event.preventDefault();
    if (event.repeat) return;
    if (MOVES.includes(event.key) && !refused) ahead.push(event.key);
    else if (isKey || presses) refuse(`The key ${event.key.trim() || "Space"}`);
    return;
  }
  if (inField) {
    // Enter would press the form's first button and decide the item.
    if (event.key === "Escape" || (event.key === "Enter" && event.target.closest("#decide"))) {
      event.preventDefault();
      document.getElementById("item").focus();
    }
    return;
  }
  if (isKey && (event.repeat || act(event.key))) event.preventDefault();
});

document.addEventListener("submit", (event) => {
  event.preventDefault();
  if (busy) {
    refuse("The click");
    return;
  }
  const form = event.target, pressed = event.submitter, fields = new URLSearchParams(new FormData(form));
  if (pressed?.name) fields.append(pressed.name, pressed.value);
  if (form.method === "post") go("POST", form.action, fields);
  else go("GET", `${form.action}?${fields}`);
});

document.addEventListener("click", (event) => {
  // The second click of a double click would decide the item that came in between.
  if (event.detail > 1 && event.target.closest("[name=choice]")) {
    event.preventDefault();
    refuse("The second click");
    return;
  }
  const link = event.target.closest("a[href]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (busy) refuse("The click");
  else go("GET", link.href);
});

window.addEventListener("popstate", () => go("GET", location.href, null, true));
if (busy) document.addEventListener("DOMContentLoaded", settle);
