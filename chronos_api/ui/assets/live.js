// Live parts: when the workspace changes, the same page is asked for again, and the parts that
// differ are put in place. Rows keep their elements, so that nothing jumps or loses the focus. A
// part that is touched waits, and so do new rows of a table that is read. A button tells of them.

import { connect } from "./connection.js";
import { parsed } from "./policy.js";
import { STATES } from "./stream.js";

/** The event after live parts were put in place. */
export const PATCHED = "chronos:patched";

const LEAST_PAUSE = 5000;
const ALWAYS_PAUSE = 2000;
const STATS_PAUSE = 15000;

let last = 0;
let timer = 0;
let isPaused = false;
// How much has happened, how much of it the parts show, and whether the page holds some of it back.
let happened = 0;
let shown = 0;
let isHeld = false;
// The reader has asked for all of it, so many times.
let isForced = false;
let demands = 0;

function isTouched(part) {
  const selected = getSelection();
  return part.matches(":hover .menu[open], :has(.menu[open]), :has([data-pick]:checked)")
    || (part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea"))
    || (!selected.isCollapsed && part.contains(selected.anchorNode));
}

function rowsOf(table) {
  return new Map([...table.children].filter((each) => each.dataset.key).map((each) => [each.dataset.key, each]));
}

/** Whether new rows would move the ones that somebody reads or points at. */
function wouldJump(old, fresh) {
  if (isForced || old.tagName !== "TBODY") return false;
  const known = rowsOf(old);
  const isRead = old.matches(":hover") || old.getBoundingClientRect().top < 0;
  return isRead && known.size > 0 && [...rowsOf(fresh).keys()].some((key) => !known.has(key));
}

/** Make `old` like `fresh`: children with a key keep their elements. */
export function patch(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE || old.tagName !== fresh.tagName) {
    old.replaceWith(fresh);
    return;
  }
  if (wouldJump(old, fresh)) {
    isHeld = true;
    const rows = rowsOf(fresh);
    for (const [key, row] of rowsOf(old)) if (rows.has(key)) patch(row, rows.get(key));
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const kept = new Map([...old.children].filter((each) => each.dataset?.key).map((each) => [each.dataset.key, each]));
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = wanted.dataset?.key && kept.get(wanted.dataset.key);
    if (known) {
      if (known !== place) old.insertBefore(known, place);
      else place = place.nextSibling;
      patch(known, wanted);
    } else if (place && !place.dataset?.key && place.nodeName === wanted.nodeName && !wanted.dataset?.key) {
      const next = place.nextSibling;
      patch(place, wanted);
      place = next;
    } else {
      old.insertBefore(wanted, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

async function refresh() {
  timer = 0;
  last = Date.now();
  const parts = document.querySelectorAll("[data-live]");
  if ((isPaused && !isForced) || document.hidden) return;
  if (!isForced && [...parts].some(isTouched)) {
    isHeld = true;
    showNews();
    // Looked for again soon, without asking the server.
    soon(LEAST_PAUSE);
    return;
  }
  const told = happened;
  const demand = demands;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
  // The session has ended. The page leads to the login, and from there back.
  if (answer.type === "opaqueredirect") location.reload();
  if (!answer.ok) return;
  const page = parsed(await answer.text());
  // The reader has asked for all of it meanwhile. The answer to that comes.
  if (demand !== demands) return;
  const fresh = page.querySelectorAll("[data-live]");
  isHeld = false;
  for (const [index, part] of parts.entries()) if (fresh[index]) patch(part, fresh[index]);
  isForced = false;
  if (!isHeld) shown = Math.max(shown, told);
  showNews();
  // Scripts show again the things that a page without scripts does not have.
  document.dispatchEvent(new Event(PATCHED));
}

function showNews() {
  const button = document.querySelector("[data-live-news]");
  const missed = happened - shown;
  button.hidden = !isHeld;
  button.textContent = missed ? `↑ ${missed.toLocaleString("en")} since – update` : "↑ Update";
}

function prepareNews() {
  document.querySelector("[data-live-news]").addEventListener("click", () => {
    isForced = true;
    demands += 1;
    clearTimeout(timer);
    timer = 0;
    last = 0;
    soon(0);
  });
}

function soon(pause) {
  timer ||= setTimeout(() => refresh().catch(() => {}), Math.max(last + pause - Date.now(), 0));
}

function prepareState() {
  const button = document.querySelector("[data-live-state]");
  let state = "reconnecting";
  const show = () => {
    const text = isPaused ? "‖ paused" : STATES[state];
    button.hidden = false;
    if (button.textContent !== text) button.textContent = text;
    // The wall has a text in its place.
    if (!button.matches("button")) return;
    button.title = isPaused ? "Follow what happens again" : "Stop following what happens";
    button.setAttribute("aria-pressed", String(isPaused));
  };
  if (button.matches("button")) button.addEventListener("click", () => {
    isPaused = !isPaused;
    show();
    if (!isPaused) soon(0);
  });
  return (next) => { state = next; show(); };
}

function take(say, { state, event, count = 0 }) {
  if (state) say(state);
  happened += count;
  if (count) showNews();
  if (event === "changes") soon(LEAST_PAUSE);
  if (event === "reset" || event === "poll") soon(0);
}

/** Follow the events of the workspace while the page is seen. */
export function follow() {
  if (!document.querySelector("[data-live]") || !document.body.dataset.events) return;
  last = Date.now();
  const say = prepareState();
  prepareNews();
  connect((message) => take(say, message));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(0); });
  // A busy workspace does not name each execution in its events. This one is asked for.
  setInterval(() => { if (document.querySelector('[data-live="always"]')) soon(ALWAYS_PAUSE); }, ALWAYS_PAUSE);
  // The server keeps figures for some seconds. The last event may come before they are new.
  setInterval(() => { if (document.querySelector('[data-live="stats"]')) soon(LEAST_PAUSE); }, STATS_PAUSE);
}
