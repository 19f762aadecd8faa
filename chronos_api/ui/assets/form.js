// The form of a job: shows the inputs that are needed, the next runs while one types, and a test.

import { parsed } from "./policy.js";

const PAUSE = 250;

function chosen(form, name) {
  return form.querySelector(`[name="${name}"]:checked`)?.value ?? form.querySelector(`[name="${name}"]`)?.value;
}

function showNeeded(form) {
  for (const [attribute, name] of [["forType", "type"], ["forKind", "schedule_type"]]) {
    const value = chosen(form, name);
    for (const each of form.querySelectorAll(attribute === "forType" ? "[data-for-type]" : "[data-for-kind]")) {
      each.hidden = !each.dataset[attribute].split(" ").includes(value);
    }
  }
}

async function post(form, address, body) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": form.elements.csrf_token.value, ...workspace() },
    body: JSON.stringify(body),
  });
  return [answer.ok, await answer.json()];
}

function workspace() {
  const id = location.pathname.match(/^\/ui\/w\/([0-9a-f-]{36})\//)?.[1];
  return id ? { "X-Workspace": id } : {};
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function problems(problem) {
  return (problem.errors ?? [{ message: problem.detail }]).map((each) => element("p", each.message ?? each.detail, "error"));
}

/** Ask the server for this form's page, and take its preview: only the server knows instants. */
async function asked(form) {
  const data = new URLSearchParams(new FormData(form));
  data.set("do", "preview");
  const answer = await fetch(form.action, { method: "POST", body: data, headers: { Accept: "text/html" } });
  return parsed(await answer.text()).querySelector("[data-preview-box]");
}

function previewing(form) {
  const box = form.querySelector("[data-preview-box]");
  let turns = 0;
  let timer = 0;
  const ask = async () => {
    const turn = ++turns;
    const fresh = await asked(form);
    // An older answer never replaces a newer one.
    if (turn === turns && fresh) box.replaceChildren(...fresh.childNodes);
  };
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => ask().catch(() => {}), PAUSE);
  };
}

function json(text) {
  try { return JSON.parse(text); } catch { return text; }
}

function payload(form) {
  const data = new FormData(form);
  const type = chosen(form, "type");
  if (type !== "webhook") return { type, payload: json(data.get("payload") || "{}") };
  const headers = Object.fromEntries((data.get("headers") ?? "").split("\n").filter((line) => line.includes(":"))
    .map((line) => [line.slice(0, line.indexOf(":")).trim(), line.slice(line.indexOf(":") + 1).trim()]));
  const made = { method: data.get("method"), url: data.get("url"), headers };
  if (data.get("body")) made.body = json(data.get("body"));
  return { type, payload: { ...made, ...json(data.get("payload_more") || "{}") } };
}

/** The job whose secrets the form does not show. */
function saved(form) {
  return form.dataset.testJob ? { job_id: form.dataset.testJob } : {};
}

// Each figure says when its phase ended.
const PHASES = [["dns", "look-up"], ["connect", "connection"], ["tls", "TLS"], ["first_byte", "waiting"], ["total", "answer"]];

function phases(timing) {
  let begin = 0;
  const found = [];
  for (const [key, name] of PHASES) {
    const end = timing?.[key] ?? 0;
    if (end > begin) found.push(`${name} ${(end - begin).toFixed(1)} ms`);
    begin = Math.max(begin, end);
  }
  return found.join(" · ");
}

function testing(form) {
  const button = form.querySelector("[data-test-run]");
  const result = form.querySelector("[data-test-result]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    result.textContent = "Testing…";
    try {
      const [ok, answer] = await post(form, form.dataset.test, { ...payload(form), ...saved(form) });
      if (!ok) result.replaceChildren(...problems(answer));
      else {
        const status = answer.http_status ? `HTTP ${answer.http_status}, ` : "";
        const text = `${answer.status === "succeeded" ? "✓" : "✕"} ${status}${answer.duration_ms} ms${answer.error ? `: ${answer.error}` : ""}`;
        result.replaceChildren(element("span", text, `status ${answer.status}`), element("small", phases(answer.timing_ms)));
      }
    } catch {
      result.textContent = "The server did not answer. Try again.";
    } finally {
      button.disabled = false;
    }
  });
}

/** Prepare the job's form, if the page has one. */
export function prepareForms() {
  const form = document.querySelector("[data-job-form]");
  if (!form) return;
  const preview = previewing(form);
  form.addEventListener("input", () => { showNeeded(form); preview(); });
  showNeeded(form);
  testing(form);
}
