"use strict";
// Keys press a button, follow a link or move the focus. Pages are fetched and put in place of the one before, so the
// keys work at every moment. What was typed is saved before the page goes on, whatever leads there. Nothing here reads
// or writes a text of the data; without scripts, forms and links do.
const MOVES = "jkus"; // keys that may be pressed ahead: they decide nothing about an item that is not shown yet
const ENDS = {j: "This is the last item shown.", k: "This is the first item shown.", s: "No other item is undecided.",
  0: "There is no decision to clear."};
const ahead = [];
let notice = ""; // what the next item says
let refused = false; // whether a key or a click was; nothing overtakes it
let unreachable = false; // whether the server did not answer
let latest = null; // the request whose answer is to be shown
let pointed = false; // whether the list of labels was last used with the mouse
let busy = document.readyState === "loading"; // until an item is there

function hint(text) {
  const place = document.getElementById("hint");
  if (place) place.textContent = text;
}

function refuse(what) {
  const text = `${what} was not taken, because the next item was not shown yet. Look at this item and press again.`;
  refused = busy;
  if (busy) notice = text;
  hint(text);
}

function settle() {
  busy = false;
  document.documentElement.removeAttribute("aria-busy");
  document.getElementById("item")?.focus();
  if (notice) hint(notice);
  notice = "";
  refused = false;
  while (ahead.length && !busy) act(ahead.shift());
}

function arrive(request, keep) {
  if (request !== latest) return;
  unreachable = false;
  const answer = request.response;
  if (request.status >= 400 && document.getElementById("item")) {
    stay(request);
    return;
  }
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
  request.addEventListener("error", () => fail(request));
  request.send(fields);
}

// The item stays, with what was typed, and says why.
function stay(request) {
  ahead.length = 0;
  notice = request.response?.querySelector(".problem")?.textContent
    ?? "The server refused this; open the address that the command printed. Nothing was recorded.";
  settle();
}

function fail(request) {
  if (request !== latest) return;
  ahead.length = 0;
  notice = "";
  unreachable = true;
  settle();
  hint("The server does not answer. Start the command again and open its address; the last decision may be missing.");
}

// The texts are shown: a decision, and a label, are about something that was read.
function isRead() {
  const texts = document.getElementById("texts");
  return !texts || texts.open;
}

function showFirst() {
  document.getElementById("texts").open = true;
  hint("Nothing was recorded: the text was hidden. Read it, then decide again.");
}

function shownLabel(form) {
  return form.elements.detail.querySelector("option[selected]")?.value ?? "";
}

// The fields of the form without those that were not changed: the server may know newer values.
function answers(form) {
  const fields = new URLSearchParams(new FormData(form)), {note, detail} = form.elements;
  fields.set("read", isRead() ? "yes" : "");
  if (note.value === note.defaultValue) fields.delete("note");
  if (detail.value === shownLabel(form)) fields.delete("detail");
  return fields;
}

// A note and a label that are not saved yet, or null.
function draft() {
  const form = document.getElementById("decide");
  if (!form) return null;
  const fields = answers(form);
  return fields.has("note") || fields.has("detail") ? fields : null;
}

function leave(method, address, fields = null, keep = false) {
  const typed = draft();
  if (!typed) {
    go(method, address, fields, keep);
    return;
  }
  busy = true;
  document.documentElement.setAttribute("aria-busy", "true");
  const request = latest = new XMLHttpRequest();
  request.open("POST", "/save");
  request.responseType = "document";
  request.addEventListener("load", () => {
    if (request !== latest) return;
    if (request.status !== 204) {
      stay(request);
      return;
    }
    notice ||= "What you typed on the item before is saved.";
    go(method, address, fields, keep);
  });
  request.addEventListener("error", () => fail(request));
  request.send(typed);
}

function act(key) {
  const texts = document.getElementById("texts"), keys = document.getElementById("keys");
  if (key === "v" && texts) {
    texts.open = !texts.open;
    return true;
  }
  if (key === "?" && keys) {
    keys.open = !keys.open;
    if (keys.open) keys.scrollIntoView({block: "center"});
    return true;
  }
  const field = document.querySelector(`[data-focus="${key}"]`);
  if (field) {
    if (key === "l" && !isRead()) {
      showFirst();
      return true;
    }
    field.focus();
    field.select?.();
    if (key === "l") hint("Type the beginning of one. Then press the key of a choice, or Enter.");
    return true;
  }
  const control = document.querySelector(`[data-key="${key}"]`);
  if (!control || control.disabled) {
    hint(ENDS[key] ?? "");
    return false;
  }
  control.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const isKey = /^[0-9jkuslnv?]$/.test(event.key), inField = event.target.closest("input, select, textarea");
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
      hint("");
    } else if (event.target.name === "detail") {
      pointed = false;
      const typed = [...event.target.options].some((each) => each.text.includes(event.key)); // part of a label
      if (/^[0-9]$/.test(event.key) && !typed && (event.repeat || act(event.key))) event.preventDefault();
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
  const form = event.target, pressed = event.submitter;
  if (form.id === "decide") {
    const fields = answers(form);
    fields.append("choice", pressed?.value ?? "");
    if (isRead() || pressed?.value === "0") go("POST", form.action, fields);
    else showFirst();
    return;
  }
  const fields = new URLSearchParams(new FormData(form));
  if (pressed?.name) fields.append(pressed.name, pressed.value);
  if (form.method === "post") leave("POST", form.action, fields);
  else leave("GET", `${form.action}?${fields}`);
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
  else leave("GET", link.href);
});

document.addEventListener("pointerdown", (event) => { pointed = event.target.name === "detail"; });

document.addEventListener("change", (event) => {
  if (event.target.name !== "detail") return;
  if (!isRead()) {
    event.target.value = shownLabel(event.target.form);
    showFirst();
  }
  if (pointed) document.getElementById("item").focus(); // so that the next key is one of the page
});

document.addEventListener("toggle", (event) => {
  if (event.target.id === "texts" && !event.target.open) hint("");
}, true);

window.addEventListener("popstate", () => leave("GET", location.href, null, true));
// "pagehide" comes after the next page was fetched, "beforeunload" before it, but not always.
for (const leaving of ["beforeunload", "pagehide"]) {
  window.addEventListener(leaving, (event) => {
    const typed = draft();
    if (!typed) return;
    navigator.sendBeacon("/save", typed);
    if (unreachable) event.preventDefault(); // the browser asks
  });
}
if (busy) document.addEventListener("DOMContentLoaded", settle);
