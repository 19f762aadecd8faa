// Shows /openapi.json. Everything is put in as text, never as HTML.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const MAX_DEPTH = 4;

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
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
      return schema.format ? `${type} (${schema.format})` : type;
    });
    return types.join(" or ");
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
  for (const [name, inner] of Object.entries(resolved.properties || {})) {
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

function schemaView(description, schema) {
  const rows = fieldTable(description, schema);
  return rows.length ? el("table", {}, el("tbody", {}, ...rows)) : el("p", {}, description.typeOf(schema));
}

function copyable(text) {
  const button = el("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return el("div", { class: "copyable" }, el("pre", {}, text), button);
}

function bodyExample(description, operation) {
  const content = operation.requestBody && operation.requestBody.content["application/json"];
  return content ? content.example || description.example(content.schema) : null;
}

function curl(description, operation) {
  const lines = [`curl -X ${operation.method.toUpperCase()} '${location.origin}${operation.path}'`];
  if (operation.security && operation.security.length) lines.push(`-H "Authorization: Bearer $TOKEN"`);
  const body = bodyExample(description, operation);
  if (body) {
    lines.push("-H 'Content-Type: application/json'");
    lines.push(`-d '${JSON.stringify(body, null, 2).replaceAll("'", "'\\''")}'`);
  }
  return lines.join(" \\\n  ");
}

function parametersView(description, parameters) {
  if (!parameters.length) return [];
  const rows = parameters.map((each) => {
    const parameter = description.resolve(each);
    const schema = { ...description.resolve(parameter.schema), description: parameter.description };
    return fieldRow(description, `${parameter.name} (${parameter.in})`, schema, parameter.required);
  });
  return [el("h4", {}, "Parameters"), el("table", {}, el("tbody", {}, ...rows))];
}

function responseView(description, status, response) {
  const resolved = description.resolve(response);
  const media = Object.entries(resolved.content || {})[0];
  const [title, ...rest] = resolved.description.split(". ");
  const headers = Object.keys(resolved.headers || {});
  const view = el("details", {},
    el("summary", {}, el("span", { class: "status" }, status), ` ${title}`));
  if (rest.length) view.append(el("p", {}, rest.join(". ")));
  if (headers.length) view.append(el("p", { class: "soft" }, `Headers: ${headers.join(", ")}`));
  if (media) {
    view.append(el("p", { class: "soft" }, media[0]), schemaView(description, media[1].schema));
    if (status < "300" && media[0] === "application/json") {
      view.append(el("pre", {}, JSON.stringify(description.example(media[1].schema), null, 2)));
    }
  }
  return view;
}

function operationView(description, operation) {
  const view = el("article", { id: operation.operationId },
    el("h3", {}, el("span", { class: `method ${operation.method}` }, operation.method), operation.path),
    el("p", { class: "summary" }, operation.summary || ""));
  if (operation.description) view.append(el("p", {}, operation.description));
  const role = operation["x-role"];
  view.append(el("p", { class: "soft" }, role ? `Needs the role ${role}.` : "Needs no login."));
  view.append(...parametersView(description, operation.parameters));
  const content = operation.requestBody && operation.requestBody.content["application/json"];
  if (content) {
    view.append(el("h4", {}, "Body"), schemaView(description, content.schema));
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
  for (const paragraph of text.trim().split("\n\n")) main.append(el("p", {}, paragraph.replaceAll("`", "")));
  main.append(el("p", {}, el("a", { href: "/openapi.json" }, "openapi.json")));
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

function filter(event) {
  const wanted = event.target.value.toLowerCase();
  for (const link of document.querySelectorAll("#index a")) {
    link.hidden = !link.textContent.toLowerCase().includes(wanted);
  }
}

document.getElementById("filter").addEventListener("input", filter);
fetch("/openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch((error) => {
    document.getElementById("content").append(el("p", {}, `The documentation cannot be shown: ${error}`));
  });
