// Single keys. None acts while one types, and all of them can be switched off in the account.

const isOn = document.body.dataset.shortcuts === "on";
let isGoing = false;

function rows() {
  return [...document.querySelectorAll("tr[data-key]")];
}

function row() {
  return document.activeElement.closest?.("tr[data-key]");
}

function move(step) {
  const all = rows();
  const next = all[Math.min(Math.max(all.indexOf(row()) + step, 0), all.length - 1)];
  next?.setAttribute("tabindex", "-1");
  next?.focus();
}

function press(selector, scope = document) {
  const found = scope.querySelector(selector);
  found?.click();
  return Boolean(found);
}

function act(key) {
  return (row() && press(`[data-act="${key}"]`, row())) || press(`main [data-act="${key}"]`);
}

const KEYS = {
  "?": () => document.querySelector("#key-help").showModal(),
  "/": () => { const box = document.querySelector("main input[type=search]"); box ? box.focus() : press("[data-palette-open]"); },
  j: () => move(1),
  k: () => move(-1),
  x: () => row() && press("[data-pick]", row()),
  o: () => row() && press("a.name, td a", row()),
  Enter: () => document.activeElement === row() && press("a.name, td a", row()),
  z: () => press("[data-zone-switch] button"),
  ".": () => press("[data-live-state]"),
};

function isTyping(target) {
  return target.matches?.("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]") || document.querySelector("dialog[open]");
}

function take(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const { key } = event;
  if (isGoing) {
    isGoing = false;
    if (press(`[data-go="${CSS.escape(key)}"]`)) event.preventDefault();
    return;
  }
  if (key === "g") { isGoing = true; setTimeout(() => { isGoing = false; }, 1500); return; }
  if (KEYS[key] ? KEYS[key]() !== null : act(CSS.escape(key))) {
    if (key !== "Enter" || document.activeElement === row()) event.preventDefault();
  }
}

/** Let single keys act, unless the user has switched them off. */
export function prepareKeys() {
  if (isOn && document.querySelector("#key-help")) document.addEventListener("keydown", take);
}
