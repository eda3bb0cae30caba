// The `storage` object of @mcp-ts/sdk behind the bridge protocol:  node mcp_ts.mjs FOLDER
//
// FOLDER contains node_modules with the published package; the environment chooses the store, as upstream documents.
// Upstream reads three things from its process: the key, the time, and one `storage` for each load of its module. Here
// each handle has its own key, time and `storage`, as in a separate process. Nothing else is changed.

import { AsyncLocalStorage } from "node:async_hooks";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Declined, serve } from "./serve.mjs";

const METHODS = [
  "init",
  "generateSessionId",
  "createSession",
  "updateSession",
  "getSession",
  "getIdentitySessionsData",
  "getIdentityMcpSessions",
  "removeSession",
  "getAllSessionIds",
  "clearAll",
  "cleanupExpiredSessions",
  "disconnect",
];

const folder = join(process.argv[2], "node_modules", "@mcp-ts", "sdk");
const entry = pathToFileURL(join(folder, "dist", "server", "index.mjs")).href;
const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

const current = new AsyncLocalStorage(); // the handle whose call is running
const settings = new WeakMap(); // handle -> its environment variables

process.env = new Proxy(process.env, {
  get: (target, name) => settings.get(current.getStore())?.[name] ?? target[name],
});

const milliseconds = (handle) => (handle?.now === undefined ? undefined : Math.floor(handle.now * 1000));
const RealDate = Date;
const now = () => milliseconds(current.getStore()) ?? RealDate.now();
globalThis.Date = new Proxy(RealDate, {
  construct: (target, given, made) => Reflect.construct(target, given.length ? given : [now()], made),
  get: (target, name) => (name === "now" ? now : target[name]),
});

let loads = 0;

async function open({ encryptionKey, defaultTtl }) {
  if (defaultTtl !== undefined) throw new Declined("@mcp-ts/sdk has no way to choose a default TTL");
  if (Array.isArray(encryptionKey)) {
    if (encryptionKey.length > 1) throw new Error(`@mcp-ts/sdk takes one encryption key, not ${encryptionKey.length}`);
    [encryptionKey] = encryptionKey;
  }
  return load(encryptionKey === undefined ? {} : { STORAGE_ENCRYPTION_KEY: encryptionKey });
}

/** A handle of a user: upstream has one variable for a key, and its client sends that as the login. */
const openAs = (token) => load({ SUPABASE_SERVICE_ROLE_KEY: token });

async function load(environment) {
  settings.set(current.getStore(), environment);
  delete globalThis.__redis; // upstream keeps its connection there between loads of its module
  const { storage } = await import(`${entry}?load=${++loads}`);
  // Not `storage` itself: it is a proxy with every name, so awaiting it would wait for its then() forever.
  return Object.fromEntries(METHODS.map((method) => [method, (...given) => storage[method](...given)]));
}

// Upstream throws plain Errors. Its interface documents two: for a session that exists, and for one that does not.
function errorType(error) {
  if (/^Session [^]* already exists$/.test(error.message)) return "SessionExistsError";
  if (/^Session [^]* not found( for identity [^]*)?$/.test(error.message)) return "SessionNotFoundError";
  return undefined;
}

serve({
  name: "@mcp-ts/sdk",
  version,
  capabilities: [],
  open,
  openAs,
  errorType,
  around: (handle, run) => current.run(handle, run),
});
