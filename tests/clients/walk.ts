// Uses the generated types as their user would: jobs of each type, run and read back.
//
//   node walk.js openapi.json URL EMAIL PASSWORD TARGET
//
// Ajv holds each answer against the document on the way.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./api.js";
import { Schemas } from "./schemas.js";

type Payload = components["schemas"]["JobFields"]["payload"];
type Type = NonNullable<components["schemas"]["JobFields"]["type"]>;

const [file, baseUrl, email, password, target] = process.argv.slice(2) as [string, string, string, string, string];
const SECONDS = 60;

const schemas = new Schemas(JSON.parse(readFileSync(file, "utf-8")));
let checked = 0;
const client = createClient<paths>({ baseUrl });

const holdAnswers: Middleware = {
  async onResponse({ request, response, schemaPath }) {
    const type = response.headers.get("content-type")?.split(";")[0];
    if (type) {
      const body = await response.clone().json();
      schemas.checkAnswer(schemaPath, request.method.toLowerCase(), response.status, type, body);
      checked += 1;
    }
  },
};
client.use(holdAnswers);

/** Return the data of an answer, which must not be an error. */
function data<T>(answer: { data?: T; error?: unknown }): T {
  assert.equal(answer.error, undefined, JSON.stringify(answer.error));
  assert.ok(answer.data !== undefined);
  return answer.data;
}

async function logIn(): Promise<string> {
  const tokens = data(await client.POST("/api/v1/auth/login", { body: { email, password } }));
  client.use({
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${tokens.access_token}`);
    },
  });
  return data(await client.GET("/api/v1/auth/me")).workspace!.id;
}

async function finished(id: string): Promise<components["schemas"]["ExecutionDetail"]> {
  for (let waited = 0; waited < SECONDS * 10; waited += 1) {
    const params = { path: { execution_id: id } };
    const execution = data(await client.GET("/api/v1/executions/{execution_id}", { params }));
    if (execution.finished_at !== null) return execution;
    await sleep(100);
  }
  throw new Error(`Execution ${id} is not finished after ${SECONDS} s`);
}

async function runOne(type: Type, payload: Payload, workspace: string): Promise<void> {
  const created = data(await client.POST("/api/v1/jobs", {
    params: { header: { "X-Workspace": workspace, "Idempotency-Key": `ts-${type}` } },
    body: {
      name: `TypeScript ${type}`, type, payload, tags: ["typescript"],
      schedule_type: "cron", cron_expression: "0 9 1 1 *", timezone: "Europe/Berlin", max_attempts: 2,
    },
  }));
  const path = { job_id: created.id };
  const query = { type, tag: "typescript", sort: "-created_at", limit: 5 } as const;
  const page = data(await client.GET("/api/v1/jobs", { params: { query } }));
  assert.deepEqual(page.items.map((job) => job.id), [created.id]);

  const changed = data(await client.PATCH("/api/v1/jobs/{job_id}", {
    params: { path }, body: { description: "Changed" },
  }));
  const { description, version, updated_at, next_runs, ...rest } = changed;
  assert.equal(description, "Changed");
  for (const [name, value] of Object.entries(rest)) {
    assert.deepEqual(value, created[name as keyof typeof created], name);
  }

  const started = data(await client.POST("/api/v1/jobs/{job_id}/execute", { params: { path } }));
  const execution = await finished(started.id);
  assert.equal(execution.status, "succeeded", JSON.stringify(execution));
  assert.equal(execution.attempts.length, 1);
  const history = data(await client.GET("/api/v1/jobs/{job_id}/executions", { params: { path } }));
  assert.ok(typeof history !== "string", "CSV is for who asks for it");
  assert.deepEqual(history.items.map((each) => each.id), [execution.id]);
}

async function seeErrors(): Promise<void> {
  const path = { job_id: "00000000-0000-4000-8000-000000000000" };
  const unknown = await client.GET("/api/v1/jobs/{job_id}", { params: { path } });
  assert.equal(unknown.error?.status, 404);
  const wrong = await client.POST("/api/v1/jobs", {
    body: { name: " ", payload: { url: "ftp://example.com" }, schedule_type: "cron", cron_expression: "x" },
  });
  assert.equal(wrong.error?.status, 422);
  assert.deepEqual(
    wrong.error?.errors?.map((each) => each.field).sort(), ["cron_expression", "name", "payload.url"],
  );
}

const workspace = await logIn();
await runOne("webhook", { url: target, method: "POST", body: { by: "typescript" } }, workspace);
await runOne("email", { to: ["user@example.com"], subject: "typescript", body: "Text" }, workspace);
await runOne("celery_task", { task: "shop.tasks.report", args: [1, "two"], kwargs: { deep: true } }, workspace);
await seeErrors();
assert.ok(checked >= 20, `${checked} answers were checked`);
