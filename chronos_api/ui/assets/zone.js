// The switch between UTC and the zone of this device, which the server then shows times in.

/** Offer the other one of the two. */
export function prepareZoneSwitch() {
  const form = document.querySelector("[data-zone-switch]");
  if (!form) return;
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const shown = form.dataset.zone;
  const other = shown === here ? "UTC" : here;
  if (other === shown) return;
  form.elements.time_zone.value = other;
  const button = form.querySelector("button");
  button.textContent = shown;
  button.title = `Times are in ${shown}. Show them in ${other}`;
  button.setAttribute("aria-label", button.title);
  form.hidden = false;
}
