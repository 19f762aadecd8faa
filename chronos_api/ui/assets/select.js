// The checked rows of a list: one box for all of the page, ranges by the shift key, and their
// number. Without scripts the boxes and the bar below work as they are.

import { PATCHED } from "./live.js";

function boxes() {
  return [...document.querySelectorAll("[data-pick]")];
}

function show(bar) {
  const all = boxes();
  const checked = all.filter((box) => box.checked).length;
  bar.hidden = checked === 0;
  bar.querySelector("[data-picked]").textContent = `${checked} checked`;
  const head = document.querySelector("[data-pick-all]");
  head.checked = checked > 0 && checked === all.length;
  head.indeterminate = checked > 0 && checked < all.length;
}

/** Prepare the boxes of the page's list, if it has one. */
export function prepareSelection() {
  const bar = document.querySelector("[data-bulk]");
  if (!bar) return;
  let last = null;
  document.addEventListener("click", (event) => {
    const box = event.target.closest?.("[data-pick], [data-pick-all]");
    if (!box) return;
    const all = boxes();
    if (box.matches("[data-pick-all]")) {
      for (const each of all) each.checked = box.checked;
    } else if (event.shiftKey && last && last.isConnected) {
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
      for (const each of all.slice(from, to + 1)) each.checked = box.checked;
    }
    last = box;
    show(bar);
  });
  const begin = () => {
    for (const each of document.querySelectorAll("[data-pick-all]")) each.hidden = false;
    show(bar);
  };
  document.addEventListener(PATCHED, begin);
  begin();
}
