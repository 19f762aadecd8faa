// Shows /openapi.json. Everything is put in as text, never as HTML.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const MAX_DEPTH = 4;

const EXAMPLES = "The examples run as they stand in a shell. They read what only you know from variables: "
  + "`$TOKEN` is an access token or an API key, `$JOB_ID` the id of a job, and so on.";

// What only the caller knows, and therefore gives to the shell in a variable.
const VARIABLES = { refresh_token: "$REFRESH_TOKEN", token: "$EMAIL_TOKEN", current_password: "$PASSWORD", code: "$CODE", device_code: "$DEVICE_CODE" };

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Text in which `names` stand in code.
function prose(name, attributes, text) {
  const parts = text.split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
  return el(name, attributes, ...parts);
}

class Description {
  constructor(document) {
    this.document = document;
  }

  resolve(value) {
    while (value && value.$ref) {
      value = value.$ref.split("/").slice(1).reduce((place, key) => place[key], this.document);
    }
    return value;
  }

  operations() {
    const found = [];
    for (const [path, item] of Object.entries(this.document.paths)) {
      for (const method of METHODS) {
        if (item[method]) {
          const parameters = [...(item.parameters || []), ...(item[method].parameters || [])];
          found.push({ ...item[method], path, method, parameters });
        }
      }
    }
    return found;
  }

  typeOf(schema) {
    schema = this.resolve(schema) || {};
    if (schema.anyOf) return schema.anyOf.map((each) => this.typeOf(each)).join(" or ");
    const types = [schema.type || "any"].flat().map((type) => {
      if (type === "array") return `list of ${this.typeOf(schema.items)}`;
      return schema.format && type !== "null" ? `${type} (${schema.format})` : type;
    });
    return types.join(" or ");
  }

  // An example of what is sent: what is required, and what comes with an example of its own.
  request(schema) {
    schema = this.resolve(schema);
    const required = new Set(schema.required);
    const sent = Object.entries(schema.properties || {}).filter(([name, value]) => (
      required.has(name) || (this.resolve(value).examples || []).length));
    return Object.fromEntries(sent.map(([name, value]) => [name, VARIABLES[name] || this.example(value)]));
  }

  // The schemas of which a payload is one.
  payloads(schema) {
    const found = JSON.stringify(this.resolve(schema)).matchAll(/"#\/components\/schemas\/(\w+Payload)"/g);
    return [...new Set([...found].map((each) => each[1]))];
  }

  example(schema, depth = 0) {
    schema = this.resolve(schema) || {};
    if (schema.examples && schema.examples.length) return schema.examples[0];
    if (schema.default !== undefined) return schema.default;
    if (schema.enum) return schema.enum[0];
    const type = [schema.type].flat()[0];
    if (type === "object" || schema.properties) {
      if (depth > MAX_DEPTH) return {};
      const pairs = Object.entries(schema.properties || {});
      return Object.fromEntries(pairs.map(([key, value]) => [key, this.example(value, depth + 1)]));
    }
    if (type === "array") return depth > MAX_DEPTH ? [] : [this.example(schema.items, depth + 1)];
    const formats = {
      "date-time": "2030-01-01T09:00:00.000Z",
      uuid: "01a1fbf9-1384-7244-91f6-1b44cfd77a20",
      email: "user@example.com",
    };
    return { string: formats[schema.format] || "text", integer: 1, number: 1, boolean: true }[type] ?? null;
  }
}

function bounds(schema) {
  const parts = [];
  if (schema.minimum !== undefined || schema.maximum !== undefined) {
    parts.push(`${schema.minimum ?? ""} to ${schema.maximum ?? ""}`);
  }
  if (schema.maxLength !== undefined) parts.push(`at most ${schema.maxLength} characters`);
  if (schema.maxItems !== undefined) parts.push(`at most ${schema.maxItems} items`);
  if (schema.enum) parts.push(schema.enum.filter((value) => value !== null).join(", "));
  if (schema.default !== undefined) parts.push(`default ${JSON.stringify(schema.default)}`);
  return parts.join("; ");
}

function fieldRow(description, name, schema, required) {
  const resolved = description.resolve(schema) || {};
  const mark = required ? el("span", { class: "required" }, " required") : null;
  return el("tr", {},
    el("td", {}, el("code", {}, name), mark),
    el("td", {}, description.typeOf(schema)),
    el("td", {}, schema.description || resolved.description || "", " ",
      el("span", { class: "soft" }, bounds(resolved))));
}

function fieldTable(description, schema, prefix = "", depth = 0) {
  const resolved = description.resolve(schema) || {};
  const rows = [];
  const isOptional = ([name]) => !(resolved.required || []).includes(name);
  const fields = Object.entries(resolved.properties || {}).sort((one, other) => isOptional(one) - isOptional(other));
  for (const [name, inner] of fields) {
    rows.push(fieldRow(description, prefix + name, inner, (resolved.required || []).includes(name)));
    const below = description.resolve(inner) || {};
    const item = below.items ? description.resolve(below.items) : below;
    if (item.properties && depth < MAX_DEPTH) {
      const place = below.items ? `${prefix}${name}[].` : `${prefix}${name}.`;
      rows.push(...fieldTable(description, item, place, depth + 1));
    }
  }
  return rows;
}

function table(rows) {
  return el("table", {}, el("tbody", {}, ...rows));
}

function schemaView(description, schema) {
  const rows = fieldTable(description, schema);
  return rows.length ? table(rows) : el("p", {}, description.typeOf(schema));
}

function payloadView(description, name) {
  const schema = description.document.components.schemas[name];
  const rows = fieldTable(description, schema, "payload.");
  return el("details", {},
    el("summary", {}, `${name}: ${schema.description || ""}`),
    rows.length ? table(rows) : el("p", {}, "Any object."));
}

async function copy(text, shown) {
  // Browsers offer their clipboard to pages that came by TLS or from this machine.
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
  } else {
    getSelection().selectAllChildren(shown);
    document.execCommand("copy");
  }
}

function copyable(text) {
  const shown = el("pre", {}, text);
  const button = el("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    await copy(text, shown);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return el("div", { class: "copyable" }, shown, button);
}

function bodyExample(description, operation) {
  const content = operation.requestBody && operation.requestBody.content["application/json"];
  return content ? content.example || description.request(content.schema) : null;
}

// The address, with a variable of the shell for each part that only the caller knows.
function address(description, operation) {
  const path = operation.path.replace(/{(\w+)}/g, (_, name) => `$${name.toUpperCase()}`);
  const required = operation.parameters.map((each) => description.resolve(each))
    .filter((each) => each.in === "query" && each.required)
    .map((each) => `${each.name}=${encodeURIComponent(description.example(each.schema))}`);
  return `${location.origin}${path}${required.length ? `?${required.join("&")}` : ""}`;
}

// A variable must stand outside of single quotes for the shell to see it.
function quoted(body) {
  const text = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return `'${text.replace(/"(\$[A-Z_]+)"/g, `"'"$1"'"`)}'`;
}

function curl(description, operation) {
  const streams = Object.values(operation.responses).some((each) => (each.content || {})["text/event-stream"]);
  const method = operation.method.toUpperCase();
  const lines = [`curl ${streams ? "-N " : ""}-X ${method} "${address(description, operation)}"`];
  if (operation.security && operation.security.length) lines.push(`-H "Authorization: Bearer $TOKEN"`);
  const body = bodyExample(description, operation);
  if (body) {
    lines.push("-H 'Content-Type: application/json'");
    lines.push(`-d ${quoted(body)}`);
  }
  return lines.join(" \\\n  ");
}

function accessOf(operation) {
  if (!operation.security.length) return "Needs no login.";
  const role = operation["x-role"];
  const scope = operation["x-scope"];
  const who = role ? `Needs the role ${role}.` : "Needs a login.";
  return `${who} ${scope ? `An API key needs the scope ${scope}.` : "No API key may do this."}`;
}

function parametersView(description, parameters) {
  if (!parameters.length) return [];
  const rows = parameters.map((each) => {
    const parameter = description.resolve(each);
    const schema = { ...description.resolve(parameter.schema), description: parameter.description };
    return fieldRow(description, `${parameter.name} (${parameter.in})`, schema, parameter.required);
  });
  return [el("h4", {}, "Parameters"), table(rows)];
}

function responseView(description, status, response) {
  const resolved = description.resolve(response);
  const media = Object.entries(resolved.content || {})[0];
  const [title, ...rest] = resolved.description.split(". ");
  const headers = Object.keys(resolved.headers || {});
  const view = el("details", {},
    el("summary", {}, el("span", { class: "status" }, status), ` ${title}`));
  // There are more than a thousand answers: each is put together when somebody looks at it.
  view.addEventListener("toggle", () => fillResponse(description, view, status, { rest, headers, media }), { once: true });
  return view;
}

function fillResponse(description, view, status, { rest, headers, media }) {
  if (rest.length) view.append(el("p", {}, rest.join(". ")));
  if (headers.length) view.append(el("p", { class: "soft" }, `Headers: ${headers.join(", ")}`));
  if (media) {
    view.append(el("p", { class: "soft" }, media[0]), schemaView(description, media[1].schema));
    if (status < "300" && media[0] === "application/json") {
      view.append(el("pre", {}, JSON.stringify(description.example(media[1].schema), null, 2)));
    }
  }
}

function operationView(description, operation) {
  const view = el("article", { id: operation.operationId },
    el("h3", {}, el("span", { class: `method ${operation.method}` }, operation.method), operation.path),
    el("p", { class: "summary" }, operation.summary || ""));
  if (operation.description) view.append(prose("p", {}, operation.description));
  view.append(el("p", { class: "soft" }, accessOf(operation)));
  view.append(...parametersView(description, operation.parameters));
  const content = operation.requestBody && operation.requestBody.content["application/json"];
  if (content) {
    const payloads = description.payloads(content.schema);
    view.append(el("h4", {}, "Body"), schemaView(description, content.schema),
      ...payloads.map((name) => payloadView(description, name)));
  }
  view.append(el("h4", {}, "curl"), copyable(curl(description, operation)), el("h4", {}, "Answers"));
  for (const [status, response] of Object.entries(operation.responses)) {
    view.append(responseView(description, status, response));
  }
  return view;
}

function problemsView(document) {
  const list = el("dl", {});
  for (const problem of document["x-problem-types"]) {
    list.append(
      el("dt", { id: problem.type.split("#")[1] }, `${problem.status} ${problem.title}`),
      el("dd", {}, problem.description, " ", el("code", {}, problem.type)));
  }
  return list;
}

function show(document_) {
  const description = new Description(document_);
  const main = document.getElementById("content");
  const index = document.getElementById("index");
  const { title, version, description: text } = document_.info;
  main.append(el("h1", {}, `${title} API`, el("small", {}, version)));
  for (const paragraph of text.trim().split("\n\n")) main.append(prose("p", {}, paragraph));
  main.append(prose("p", {}, EXAMPLES), el("p", {}, el("a", { href: "/openapi.json" }, "openapi.json")));
  for (const tag of document_.tags) {
    const operations = description.operations().filter((each) => each.tags.includes(tag.name));
    main.append(el("h2", { id: `tag-${tag.name}` }, tag.name), el("p", { class: "soft" }, tag.description || ""));
    const links = operations.map((operation) => el("a", { href: `#${operation.operationId}` },
      el("span", { class: `method ${operation.method}` }, operation.method),
      operation.path.replace("/api/v1", "")));
    index.append(el("section", {}, el("h2", {}, tag.name), ...links));
    main.append(...operations.map((operation) => operationView(description, operation)));
  }
  main.append(el("h2", { id: "problems" }, "Errors"), problemsView(document_));
  index.append(el("section", {}, el("h2", {}, "Errors"), el("a", { href: "#problems" }, "Problem types")));
  if (location.hash) {
    const target = document.getElementById(location.hash.slice(1));
    if (target) target.scrollIntoView();
  }
}

const menu = document.getElementById("menu");
const isNarrow = matchMedia("(max-width: 50rem)");

function filter(event) {
  const wanted = event.target.value.toLowerCase();
  menu.open = true;
  for (const section of document.querySelectorAll("#index section")) {
    const links = [...section.querySelectorAll("a")];
    for (const link of links) link.hidden = !link.textContent.toLowerCase().includes(wanted);
    section.hidden = links.every((link) => link.hidden);
  }
}

function fitMenu() {
  menu.open = !isNarrow.matches;
}

fitMenu();
isNarrow.addEventListener("change", fitMenu);
document.getElementById("index").addEventListener("click", fitMenu);
document.getElementById("filter").addEventListener("input", filter);
fetch("/openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch((error) => {
    document.getElementById("content").append(el("p", {}, `The documentation cannot be shown: ${error}`));
  });
