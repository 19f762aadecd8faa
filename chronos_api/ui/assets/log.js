// The log of an execution: search with the number of hits, and follow the end as it grows.

import { PATCHED } from "./live.js";

function search(box, lines, count) {
  const text = box.value.trim().toLowerCase();
  const all = [...lines.children];
  let hits = 0;
  for (const line of all) {
    const isHit = !text || line.textContent.toLowerCase().includes(text);
    line.classList.toggle("no-hit", !isHit);
    hits += isHit;
  }
  count.textContent = text ? `${hits} of ${all.length}` : `${all.length} lines`;
}

/** Prepare the log of the page, if it has one. */
export function prepareLog() {
  const tools = document.querySelector("[data-log-tools]");
  if (!tools) return;
  const box = tools.querySelector("input[type=search]");
  const follow = tools.querySelector("input[type=checkbox]");
  const count = tools.querySelector("output");
  const lines = () => document.querySelector("[data-log]");
  const look = () => {
    search(box, lines(), count);
    if (follow.checked) lines().scrollTop = lines().scrollHeight;
  };
  tools.hidden = false;
  box.addEventListener("input", look);
  follow.addEventListener("change", look);
  document.addEventListener(PATCHED, look);
  look();
}
