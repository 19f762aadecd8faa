// Prints which texts each pattern matches, with the flag u as validators have it:
//
//   node patterns.js patterns.json

import { readFileSync } from "node:fs";

const patterns: string[] = JSON.parse(readFileSync(process.argv[2]!, "utf-8"));
const characters: string[] = [];
for (let code = 0; code < 0x3100; code += 1) {
  // Python's $ also matches before a line break at the end.
  if (code !== 10) characters.push(String.fromCodePoint(code));
}
const texts = [...characters, ...characters.map((each) => `a@b${each}.example`)];
console.log(JSON.stringify(patterns.map((each) => texts.filter((text) => new RegExp(each, "u").test(text)))));
