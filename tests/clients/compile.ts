// Compiles every schema of the document: node compile.js openapi.json

import { readFileSync } from "node:fs";
import { Schemas } from "./schemas.js";

const document = JSON.parse(readFileSync(process.argv[2]!, "utf-8"));
console.log(`${new Schemas(document).compileAll()} schemas`);
