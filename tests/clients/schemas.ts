// The document's schemas, as Ajv reads them in its strict mode (JSON Schema 2020-12).

import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";

type Json = { [key: string]: any };

const METHODS = ["get", "put", "post", "patch", "delete"];

export class Schemas {
  private readonly ajv: Ajv2020;

  constructor(private readonly document: Json) {
    // Nullable fields are lists of types in OpenAPI 3.1.
    this.ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
    formats.default(this.ajv);
    // The parts of the document around the schemas are no keywords of JSON Schema.
    this.ajv.addVocabulary(Object.keys(document));
    this.ajv.addSchema(document, "document");
  }

  /** Compile every schema of the document, and return how many there are. */
  compileAll(): number {
    const pointers = this.pointers();
    for (const pointer of pointers) {
      try {
        this.validator(pointer);
      } catch (error) {
        throw new Error(`${pointer}: ${error instanceof Error ? error.message : error}`);
      }
    }
    return pointers.length;
  }

  /** Throw an error if an answer is not what the document says. */
  checkAnswer(path: string, method: string, status: number, mediaType: string, body: unknown): void {
    const pointer = this.answer(path, method, status, mediaType);
    const validate = this.validator(pointer);
    if (!validate(body)) {
      throw new Error(`${method} ${path} ${status}: ${this.ajv.errorsText(validate.errors)}`);
    }
  }

  private validator(pointer: string) {
    return this.ajv.compile({ $ref: `document#${pointer}` });
  }

  private answer(path: string, method: string, status: number, mediaType: string): string {
    let pointer = `/paths/${escaped(path)}/${method}/responses/${status}`;
    const reference = this.at(pointer)?.["$ref"];
    if (reference) pointer = reference.slice(1);
    pointer += `/content/${escaped(mediaType)}/schema`;
    if (!this.at(pointer)) throw new Error(`The document has no ${pointer}`);
    return pointer;
  }

  private at(pointer: string): Json | undefined {
    const keys = pointer.slice(1).split("/").map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
    return keys.reduce<Json | undefined>((value, key) => value?.[key], this.document);
  }

  private pointers(): string[] {
    const components = Object.keys(this.document["components"].schemas);
    const found = components.map((name) => `/components/schemas/${name}`);
    for (const [path, item] of Object.entries<Json>(this.document["paths"])) {
      const place = `/paths/${escaped(path)}`;
      found.push(...parameters(place, item));
      for (const method of METHODS.filter((each) => each in item)) {
        found.push(...parameters(`${place}/${method}`, item[method]));
        found.push(...contents(`${place}/${method}/requestBody`, item[method].requestBody));
        for (const [status, answer] of Object.entries<Json>(item[method].responses)) {
          found.push(...contents(`${place}/${method}/responses/${status}`, answer));
        }
      }
    }
    return found;
  }
}

function parameters(place: string, item: Json): string[] {
  const listed: Json[] = item["parameters"] ?? [];
  return listed.map((_, index) => `${place}/parameters/${index}/schema`);
}

function contents(place: string, item: Json | undefined): string[] {
  return Object.keys(item?.["content"] ?? {}).map((type) => `${place}/content/${escaped(type)}/schema`);
}

function escaped(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}
