// What every page does: show times, keep its live parts true, close menus, and help with a form.

import { follow } from "./live.js";
import { prepareForms } from "./form.js";
import { prepareSelection } from "./select.js";
import { keepTimes } from "./times.js";
import { prepareCopies } from "./copy.js";
import { prepareLog } from "./log.js";
import { prepareHeatMap } from "./heat.js";
import { prepareKeys } from "./keys.js";
import { preparePalette } from "./palette.js";
import { prepareWall } from "./wall.js";
import { prepareZoneSwitch } from "./zone.js";

function closeMenus(event) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (event.key === "Escape") {
      menu.open = false;
      menu.querySelector("summary").focus();
    } else if (event.type === "click" && !menu.contains(event.target)) {
      menu.open = false;
    }
  }
}

/** Take the token of an e-mail out of the address, which histories and screens keep. The form has it. */
function hideToken() {
  const given = new URLSearchParams(location.search);
  if (given.has("token") || given.has("invitation")) history.replaceState(null, "", location.pathname);
}

document.addEventListener("click", closeMenus);
document.addEventListener("keydown", closeMenus);
document.querySelector("[data-focus]")?.focus();
hideToken();
keepTimes();
prepareForms();
prepareSelection();
prepareZoneSwitch();
prepareCopies();
prepareLog();
prepareHeatMap();
prepareKeys();
preparePalette();
prepareWall();
follow();
