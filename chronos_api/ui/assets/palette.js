// The palette: goes to a page, a job or an execution by a few letters or by an id.

const PAUSE = 150;
const MOST = 8;
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function pages(text) {
  return [...document.querySelectorAll("#palette [data-page]")]
    .filter((each) => each.textContent.toLowerCase().includes(text))
    .map((each) => ({ name: each.textContent, address: each.getAttribute("href"), kind: "page" }));
}

function byId(text, base) {
  if (!ID.test(text)) return [];
  return ["job", "execution"].map((kind) => ({ name: `The ${kind} ${text}`, address: `${base}${kind}s/${text}`, kind }));
}

async function jobs(text, base, workspace) {
  if (!text) return [];
  const query = new URLSearchParams({ search: text, limit: MOST });
  const answer = await fetch(`/api/v1/jobs?${query}`, { headers: { "X-Workspace": workspace } });
  if (!answer.ok) return [];
  return (await answer.json()).items.map(({ id, name }) => ({ name, address: `${base}jobs/${id}`, kind: "job" }));
}

function option({ name, address, kind }, index) {
  const made = document.createElement("li");
  made.id = `option-${index}`;
  made.setAttribute("role", "option");
  made.dataset.address = address;
  const label = document.createElement("span");
  label.textContent = name;
  const hint = document.createElement("small");
  hint.textContent = kind;
  made.append(label, hint);
  return made;
}

/** Prepare the palette, which Ctrl-K and its button open. */
export function preparePalette() {
  const dialog = document.querySelector("#palette");
  if (!dialog) return;
  const input = dialog.querySelector("input");
  const list = dialog.querySelector("[role=listbox]");
  const { base, workspace } = dialog.dataset;
  let turn = 0;
  let timer = 0;
  let current = 0;

  const mark = (index) => {
    const options = [...list.children];
    current = Math.min(Math.max(index, 0), options.length - 1);
    for (const [place, each] of options.entries()) each.setAttribute("aria-selected", String(place === current));
    options[current]?.scrollIntoView({ block: "nearest" });
    if (options[current]) input.setAttribute("aria-activedescendant", options[current].id);
    else input.removeAttribute("aria-activedescendant");
  };
  const show = (found) => {
    list.replaceChildren(...found.map(option));
    mark(0);
  };
  const look = async () => {
    const text = input.value.trim();
    const here = [...byId(text, base), ...pages(text.toLowerCase())];
    const mine = ++turn;
    show(here);
    const found = await jobs(text, base, workspace).catch(() => []);
    // An older answer never replaces a newer one.
    if (mine === turn) show([...byId(text, base), ...found, ...pages(text.toLowerCase())]);
  };
  const open = () => {
    if (document.querySelector("dialog[open]")) return;
    input.value = "";
    dialog.showModal();
    look();
  };
  const go = () => { const address = list.children[current]?.dataset.address; if (address) location.assign(address); };

  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, PAUSE); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); mark(current + (event.key === "ArrowDown" ? 1 : -1)); }
    if (event.key === "Enter") { event.preventDefault(); go(); }
  });
  list.addEventListener("click", (event) => {
    const chosen = event.target.closest("[role=option]");
    if (chosen) { mark([...list.children].indexOf(chosen)); go(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) { event.preventDefault(); open(); }
  });
  for (const button of document.querySelectorAll("[data-palette-open]")) {
    button.hidden = false;
    button.addEventListener("click", open);
  }
}
