// What a page carries: the SDK for TypeScript bundled as a page would, alone and with its Protobuf codec.
//
//   node bench/sdk_sizes.mjs          after `make sdk`

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "../sdk/typescript/node_modules/vite/dist/node/index.js";

const ROOT = fileURLToPath(new URL("../sdk/typescript/", import.meta.url));
const PAGES = {
  "connect": 'import { connect } from "./dist/index.js"; globalThis.market = connect("/");',
  "connect, with codec: PROTOBUF_CODEC":
    'import { connect } from "./dist/index.js"; import { PROTOBUF_CODEC } from "./dist/protobuf/index.js"; globalThis.market = connect("/", { codec: PROTOBUF_CODEC });',
};

/** A page that is not in a file. */
const inMemory = (source) => ({
  name: "page",
  resolveId: (id) => (id === "page" ? `${ROOT}page.js` : null),
  load: (id) => (id === `${ROOT}page.js` ? source : null),
});

const rows = [];
for (const [page, source] of Object.entries(PAGES)) {
  const output = { codeSplitting: false };
  const options = { write: false, modulePreload: false, minify: true, rolldownOptions: { input: "page", output } };
  const built = await build({ root: ROOT, configFile: false, logLevel: "error", plugins: [inMemory(source)], build: options });
  const code = built.output.map((chunk) => chunk.code ?? "").join("");
  const modules = built.output.flatMap((chunk) => Object.keys(chunk.modules ?? {}));
  rows.push({ page, bytes: code.length, gzip: gzipSync(code, { level: 9 }).length, "of @bufbuild/protobuf": modules.some((name) => name.includes("@bufbuild")) });
}
if (process.argv.includes("--json")) console.log(JSON.stringify(rows));
else console.table(rows);
