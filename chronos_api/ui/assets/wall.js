// The wall: no one touches it. It dims when its figures are old, and says for how long.

import { PATCHED } from "./live.js";

const OLD = 60000;

/** Watch whether the figures of the wall are still put in place, if this page is the wall. */
export function prepareWall() {
  const sign = document.querySelector("[data-signal]");
  if (!sign) return;
  const time = sign.querySelector("time");
  let last = Date.now();
  document.addEventListener(PATCHED, () => {
    // The server may be a new release, with other styles and scripts.
    if (!sign.hidden) location.reload();
    last = Date.now();
  });
  setInterval(() => {
    sign.hidden = Date.now() - last < OLD;
    time.dateTime = new Date(last).toISOString();
    document.documentElement.toggleAttribute("data-lost", !sign.hidden);
  }, 1000);
}
