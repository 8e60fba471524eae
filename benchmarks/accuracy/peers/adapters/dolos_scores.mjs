// Scores by Dolos, with its defaults: `node dolos_scores.mjs FOLDER OUT LIBRARY`, LIBRARY being the index.js
// of @dodona/dolos-lib.

import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, out, library] = process.argv.slice(2);
const { Dolos } = await import(pathToFileURL(library).href);

const sources = side => readdirSync(join(folder, side), { recursive: true })
  .filter(name => name.endsWith(".py")).sort().map(name => join(folder, side, name));
const left = new Set(sources("left"));
const report = await new Dolos({ language: "python" }).analyzePaths([...left, ...sources("right")]);
const files = report.entries().map(entry => entry.file);
const rows = [];
for (const a of files.filter(file => left.has(file.path))) {
  for (const b of files.filter(file => !left.has(file.path))) {
    const pair = report.getPair(a, b);
    if (pair.similarity === 0) continue;
    const shares = [pair.leftCovered / pair.leftTotal, pair.rightCovered / pair.rightTotal];
    rows.push([a.path, b.path, pair.similarity, ...shares]);
  }
}
writeFileSync(out, JSON.stringify({ files: rows }));
