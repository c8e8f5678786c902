"use strict";
// Keys: each presses a button, follows a link or moves the focus. Nothing here reads or writes a text of the data.
// A page is one item, so after a key that leads to another page the keys do nothing until that page is there.
let leaving = false;

function focusField(field) {
  field.focus();
  if (field.select) field.select();
}

function act(key) {
  const texts = document.getElementById("texts"), hint = document.getElementById("hint");
  if (key === "v" && texts) {
    texts.open = !texts.open;
    return true;
  }
  const field = document.querySelector(`[data-focus="${key}"]`);
  if (field) {
    focusField(field);
    return true;
  }
  const control = document.querySelector(`[data-key="${key}"]`);
  if (!control || control.disabled) return false;
  if (texts && !texts.open && !("unread" in control.dataset)) {
    texts.open = true;
    hint.textContent = "Nothing is decided yet: the text was hidden. Read it, then press the key again.";
    return true;
  }
  leaving = true;
  control.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (leaving || event.repeat) {
    if (/^[0-9jkuslnv]$/.test(event.key) && !event.target.closest("input, select")) event.preventDefault();
    return;
  }
  if (event.target.closest("input, select, textarea")) {
    // Enter would press the form's first button and decide the item.
    if (event.key === "Escape" || (event.key === "Enter" && event.target.closest("#decide"))) {
      event.preventDefault();
      document.getElementById("item").focus();
    }
    return;
  }
  if (/^[0-9jkuslnv]$/.test(event.key) && act(event.key)) event.preventDefault();
});

document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  leaving = true;
});
window.addEventListener("pageshow", (event) => {
  leaving = false;
  if (event.persisted) location.reload();
});
