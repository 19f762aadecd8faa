// Buttons that copy a text. Over plain http there is no clipboard: the text is selected instead.

import { PATCHED } from "./live.js";

async function copy(button) {
  const text = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(text);
    button.textContent = "Selected: press Ctrl C";
  }
}

/** Let the buttons of the page copy. */
export function prepareCopies() {
  const show = () => { for (const each of document.querySelectorAll("[data-copy]")) each.hidden = false; };
  document.addEventListener(PATCHED, show);
  show();
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) copy(button);
  });
}
