// Scores by Dolos: `node dolos_scores.mjs FOLDER OUT LIBRARY`, LIBRARY being the index.js of @dodona/dolos-lib.

import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, out, library] = process.argv.slice(2);
const { Dolos } = await import(pathToFileURL(library).href);

const sources = side => readdirSync(join(folder, side), { recursive: true })
  .filter(name => name.endsWith(".py")).sort().map(name => join(folder, side, name));
const [left, right] = [sources("left"), sources("right")];
const isLeft = new Set(left);
const report = await new Dolos({ language: "python" }).analyzePaths([...left, ...right]);
const rows = [];
for (const pair of report.allPairs()) {
  const [a, b] = [pair.leftFile.path, pair.rightFile.path];
  if (pair.similarity === 0 || isLeft.has(a) === isLeft.has(b)) continue;
  rows.push(isLeft.has(a) ? [a, b, pair.leftCovered / pair.leftTotal, pair.rightCovered / pair.rightTotal]
    : [b, a, pair.rightCovered / pair.rightTotal, pair.leftCovered / pair.leftTotal]);
}
writeFileSync(out, JSON.stringify({ files: rows }));
