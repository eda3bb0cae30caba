// Serves any object with the methods of StorageBackend of @mcp-ts/sdk to pytest-mcp-storage:
//
//   import { serve } from "./serve.mjs";
//   import { MyBackend } from "./my-backend.mjs";
//   serve({ name: "my-backend", version: "1.0.0", capabilities: ["DURABLE"], open: (options) => new MyBackend(options) });
//
// and then `pytest --mcp-backend='stdio:node ./bridge.mjs'`. Import this module first: it reserves stdout for the protocol.
// The protocol, and every option of serve(), are in docs/bridge-protocol.md. Node 20 or newer, no dependencies.

import { writeSync } from "node:fs";
import { format } from "node:util";
import { parse, stringify } from "./values.mjs";

const PROTOCOL = 1;
const LONGEST_LINE = 64 * 2 ** 20;
const LENT = 8; // calls whose objects are kept for alter
const ERRORS = new Set([
  "StorageError",
  "InvalidSessionError",
  "SessionExistsError",
  "SessionNotFoundError",
  "DecryptionError",
  "StorageUnavailableError",
  "StorageSetupError",
  "ConfigurationError",
]);
const LEVELS = { debug: "DEBUG", log: "INFO", info: "INFO", warn: "WARNING", error: "ERROR" };

// Written without process.stdout, which is faster; process.stdout writes to stderr from now on.
Object.defineProperty(process, "stdout", { value: process.stderr });
function send(message) {
  let rest = Buffer.from(stringify(message) + "\n");
  while (rest.length) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code === "EPIPE") return; // nobody reads any more; stdin ends soon
      if (error.code !== "EAGAIN") throw error; // a non-blocking pipe is full: try again, the suite reads
    }
  }
}
for (const [method, level] of Object.entries(LEVELS)) {
  console[method] = (...words) => send({ log: { level, message: format(...words) } });
}

/** An error for a call that a bridge can't do: the clause is then not measured, with this reason. */
export class Declined extends Error {
  name = "Declined";
}

/** An error of one of the contract's types, for code that has no classes for them. */
export function storageError(type, message, sessionId) {
  return Object.assign(new Error(message), { name: type, sessionId });
}

/** A call on a handle of the store. */
const BACKEND_CALLS = {
  init: async (backend) => void (await backend.init?.()),
  createSession: async (backend, { session, ttl }) => void (await backend.createSession(session, ttl)),
  updateSession: async (backend, { identity, sessionId, changes, ttl }) =>
    void (await backend.updateSession(identity, sessionId, changes, ttl)),
  getSession: (backend, { identity, sessionId }) => backend.getSession(identity, sessionId),
  getIdentitySessionsData: (backend, { identity }) => backend.getIdentitySessionsData(identity),
  getIdentityMcpSessions: (backend, { identity }) => backend.getIdentityMcpSessions(identity),
  removeSession: async (backend, { identity, sessionId }) => void (await backend.removeSession(identity, sessionId)),
  getAllSessionIds: (backend) => backend.getAllSessionIds(),
  clearAll: async (backend) => void (await backend.clearAll()),
  cleanupExpiredSessions: async (backend) => void (await backend.cleanupExpiredSessions()),
  disconnect: async (backend) => void (await backend.disconnect()),
  async generateSessionIds(backend, { count }) {
    const ids = [];
    while (ids.length < count) ids.push(await backend.generateSessionId());
    return ids;
  },
};
const RETURN_VALUES = new Set([
  "getSession",
  "getIdentitySessionsData",
  "getIdentityMcpSessions",
  "getAllSessionIds",
  "generateSessionIds",
]);

/**
 * Answer the suite's calls until stdin ends.
 *
 * Needed: name, version, and open({ encryptionKey?, defaultTtl?, clock? }), which returns a backend (or a promise of
 * one); its init() is called here. clock() is in seconds; it is given if the capability CLOCK is declared.
 * If the declared capabilities need them: provision(), destroy(), attach(locator), storedBytes() -> Buffer,
 * storedFields(identity, sessionId), replaceStoredField(identity, sessionId, field, value), enter(condition, how,
 * request), leave(condition, how, request), files(), locator(), openAs(user), writeRowAs(user, session, owner).
 * errorType(error) returns the contract's type for an error with another name.
 * around(handle, run) runs each call on a handle.
 */
export function serve(bridge) {
  const handles = new Map();
  let provisioned = false;

  const opened = async (make, now) => {
    const handle = { id: `h${handles.size + 1}`, now, backend: undefined, lent: [] };
    handles.set(handle.id, handle);
    await around(handle, async () => {
      handle.backend = await make(now === undefined ? undefined : () => handle.now);
      await handle.backend.init?.();
    });
    return { handle: handle.id };
  };
  const around = bridge.around ?? ((_handle, run) => run());
  const needed = (method) => {
    if (typeof bridge[method] !== "function") throw new Declined(`the bridge ${bridge.name} has no ${method}()`);
    return bridge[method].bind(bridge);
  };
  const calls = {
    hello: ({ protocol }) => {
      if (protocol !== PROTOCOL) return { protocol: PROTOCOL, name: bridge.name, version: bridge.version };
      const { name, version, capabilities = [], dedicated = true, timeLimit = 10, defaultTtl } = bridge;
      const own = defaultTtl === undefined ? {} : { defaultTtl };
      return { protocol: PROTOCOL, name, version, capabilities, dedicated, timeLimit, sharesObjects: true, maxLine: LONGEST_LINE, ...own };
    },
    ping: () => null,
    provision: async () => {
      await bridge.provision?.();
      provisioned = true;
      return null;
    },
    attach: async ({ locator }) => void (await needed("attach")(locator)),
    destroy: async () => {
      provisioned = false;
      await bridge.destroy?.();
      return null;
    },
    open: ({ options, now }) => opened((clock) => bridge.open({ ...options, clock }), now),
    openAs: ({ user }) => opened(() => needed("openAs")(user)),
    writeRowAs: async ({ user, session, owner }) => void (await needed("writeRowAs")(user, session, owner)),
    storedBytes: async ({ from = 0 }) => {
      // In parts, each much shorter than the longest line.
      const bytes = Buffer.from(await needed("storedBytes")());
      const end = from + 2 ** 22;
      return { data: bytes.subarray(from, end).toString("base64"), next: end < bytes.length ? end : null };
    },
    storedFields: async ({ identity, sessionId }) => (await needed("storedFields")(identity, sessionId)) ?? null,
    replaceStoredField: async ({ identity, sessionId, field, value }) =>
      void (await needed("replaceStoredField")(identity, sessionId, field, value)),
    enter: async ({ condition, how, request }) => void (await needed("enter")(condition, how, request)),
    leave: async ({ condition, how, request }) => void (await needed("leave")(condition, how, request)),
    files: () => needed("files")(),
    locator: () => needed("locator")(),
  };

  const answer = async (message) => {
    if (message.call in calls) return calls[message.call](message);
    if (message.call !== "alter" && !(message.call in BACKEND_CALLS)) throw new Declined(`the bridge knows no call ${message.call}`);
    const handle = handles.get(message.handle);
    if (message.now !== undefined) handle.now = message.now;
    if (message.call === "alter") {
      const lent = handle.lent.find(({ number }) => number === message.lent);
      if (lent) overwrite(lent.object, message.value);
      return null;
    }
    const result = await around(handle, () => BACKEND_CALLS[message.call](handle.backend, message));
    if (message.lend !== undefined) {
      // The caller and the backend share this object: a change by the caller is repeated here.
      handle.lent.push({ number: message.lend, object: message.session ?? message.changes ?? result });
      if (handle.lent.length > LENT) handle.lent.shift();
    }
    return RETURN_VALUES.has(message.call) ? result : null;
  };
  const take = async (line) => {
    const message = parse(line);
    const reply = { id: message.id };
    try {
      reply.result = (await answer(message)) ?? null;
    } catch (error) {
      reply.error = describe(error, bridge);
    }
    send(reply);
  };

  let head = [];
  process.stdin.on("data", (chunk) => {
    let start = 0;
    for (let end; (end = chunk.indexOf(10, start)) >= 0; start = end + 1) {
      const part = chunk.subarray(start, end);
      take(head.length ? Buffer.concat([...head, part]).toString() : part.toString());
      head = [];
    }
    if (start < chunk.length) head.push(chunk.subarray(start));
  });
  process.stdin.on("end", async () => {
    if (provisioned) await bridge.destroy?.();
    process.exit(0);
  });
}

/** Copy the content of an object or an array into another, in place, as deep as their types agree. */
function overwrite(target, value) {
  if (!isContainer(target) || !isContainer(value)) return;
  for (const key of Object.keys(target)) if (!Object.hasOwn(value, key)) delete target[key];
  if (Array.isArray(target)) target.length = value.length;
  for (const [key, item] of Object.entries(value)) {
    const own = Object.hasOwn(target, key) ? target[key] : undefined;
    if (isContainer(own) && isContainer(item) && Array.isArray(own) === Array.isArray(item)) overwrite(own, item);
    else Object.defineProperty(target, key, { value: item, writable: true, enumerable: true, configurable: true });
  }
}

const isContainer = (value) => typeof value === "object" && value !== null;

function describe(error, bridge) {
  if (!(error instanceof Error)) return { type: "thrown value", message: format(error) };
  const own = error.name === "Error" ? error.constructor.name : error.name;
  const type = own === "Declined" || ERRORS.has(own) ? own : (bridge.errorType?.(error) ?? own);
  const described = { type, message: String(error.message) };
  if (typeof error.sessionId === "string") described.sessionId = error.sessionId;
  return described;
}
