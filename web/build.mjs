// Puts the page together in dist/, beside the models that make_models.py has written there.

import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";

import { build } from "esbuild";

const DIST = "dist";
const RUNTIME = "node_modules/@litertjs/core";
// For browsers with and without relaxed SIMD; both run in one thread, since several need headers
// that not every host sends.
const WASM = ["litert_wasm_internal", "litert_wasm_compat_internal"];
// Large files that few need are kept when they have been used.
const LATER = [".wasm", "_internal.js"];

await rm(join(DIST, "wasm"), { recursive: true, force: true });
await mkdir(join(DIST, "wasm"), { recursive: true });
await build({
  entryPoints: ["src/app.js", "style.css"],
  outdir: DIST,
  outbase: ".",
  entryNames: "[name]",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "eof",
});
for (const name of WASM) {
  for (const end of [".js", ".wasm"]) {
    await cp(join(RUNTIME, "wasm", name + end), join(DIST, "wasm", name + end));
  }
}
for (const name of ["index.html", "icon.svg", "manifest.webmanifest"]) {
  await cp(name, join(DIST, name));
}

const found = await readdir(DIST, { recursive: true, withFileTypes: true });
const names = found
  .filter((entry) => entry.isFile() && !["sw.js"].includes(entry.name))
  .map((entry) => relative(DIST, join(entry.parentPath, entry.name)).split(sep).join("/"))
  .sort();
const hash = createHash("sha256");
for (const name of names) hash.update(name).update(await readFile(join(DIST, name)));
const constants = {
  VERSION: hash.digest("hex").slice(0, 12),
  FILES: ["", ...names],
  LATER,
};
const head = Object.entries(constants).map(([name, value]) => {
  return `const ${name} = ${JSON.stringify(value)};\n`;
});
await writeFile(join(DIST, "sw.js"), head.join("") + (await readFile("sw.js", "utf8")));
console.log(`${names.length} files in web/${DIST}`);
