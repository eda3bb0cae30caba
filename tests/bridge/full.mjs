// A store in memory, and a bridge that declares every capability, to test serve.mjs.

import { Declined, serve, storageError } from "../../pytest_mcp_storage/bridge/node/serve.mjs";

let rows = new Map();
let conditions = [];
let events = [];
let openGate;
const key = (identity, sessionId) => JSON.stringify([identity, sessionId]);

class SessionNotFoundError extends Error {}

class Store {
  constructor(options) {
    this.options = options;
  }
  async init() {
    console.warn("opened %s", this.options.encryptionKey ?? "in clear");
  }
  generateSessionId() {
    return `id${Math.random()}`;
  }
  async createSession(session, ttl) {
    if (conditions[0] === "failRequest" && --conditions[2] === 0) throw storageError("StorageUnavailableError", "refused");
    if (conditions.includes("outage")) throw storageError("StorageUnavailableError", "cut off");
    if (rows.has(key(session.identity, session.sessionId))) throw storageError("SessionExistsError", "it exists");
    rows.set(key(session.identity, session.sessionId), session);
    events.push({ call: "create", ttl, now: this.options.clock?.() });
  }
  async updateSession(identity, sessionId, changes, ttl) {
    const session = rows.get(key(identity, sessionId));
    if (!session) throw new SessionNotFoundError("nothing there");
    if (sessionId === "locked") throw storageError("DecryptionError", "wrong key", sessionId);
    if (ttl === "throw") throw new TypeError("another type");
    if (ttl === "reject") throw "not even an error";
    if (ttl !== undefined) session.serverName = `${typeof ttl} ${Object.is(ttl, -0) ? "-0" : ttl}`;
    for (const [field, value] of Object.entries(changes)) {
      if (value === undefined) delete session[field];
      else session[field] = value;
    }
  }
  async getSession(identity, sessionId) {
    if (sessionId === "odd") return { sessionId, odd: true };
    if (sessionId === "number") return 5;
    if (sessionId === "gate") await new Promise((resolve) => (openGate = resolve));
    if (sessionId === "open the gate") openGate();
    if (sessionId === "never") await new Promise(() => {});
    return rows.get(key(identity, sessionId)); // undefined if there is none
  }
  async getIdentitySessionsData(identity) {
    return [...rows.values()].filter((session) => session.identity === identity);
  }
  async getIdentityMcpSessions(identity) {
    return identity === "odd" ? [5] : (await this.getIdentitySessionsData(identity)).map((one) => one.sessionId);
  }
  async getAllSessionIds() {
    return [...rows.values()].map((session) => session.sessionId);
  }
  async removeSession(identity, sessionId) {
    return rows.delete(key(identity, sessionId)); // upstream's type is void, so any result is allowed
  }
  async clearAll() {
    rows.clear();
  }
  async cleanupExpiredSessions() {}
  async disconnect() {}
}

process.stdout.write("this is not for the wire\n");

serve({
  name: "full",
  version: "1.0",
  capabilities: [
    "KEY",
    "DURABLE",
    "SHARED",
    "CLOCK",
    "AT_REST",
    "OUTAGE",
    "LOST_ANSWER",
    "FAIL_STEP",
    "SETUP",
    "FILES",
    "CRASH",
    "ROW_SECURITY",
  ],
  timeLimit: 3,
  open: (options) => {
    if (options.defaultTtl === 1) throw new Declined("not that one");
    return new Store(options);
  },
  attach: (locator) => (rows = new Map([[key("attached", "s"), { ...locator }]])),
  storedBytes: () => Buffer.concat([Buffer.alloc(5 * 2 ** 20, "x"), Buffer.from(JSON.stringify([...rows, events]))]),
  storedFields: (identity, sessionId) => {
    const session = rows.get(key(identity, sessionId));
    return session && { tokens: session.tokens ?? null, headers: session.headers ?? null, codeVerifier: "enc:1:x" };
  },
  replaceStoredField: (identity, sessionId, field, value) => (rows.get(key(identity, sessionId))[field] = value),
  enter: (condition, how, request) => conditions.push(condition, how, request),
  leave: () => (conditions = []),
  files: () => ["/the/main/file", "/another"],
  locator: () => ({ sessionId: "s", identity: "attached" }),
  openAs: (user) => new Store({ encryptionKey: `of ${user}` }),
  writeRowAs: (user, session, owner) => {
    if (user !== owner) throw storageError("StorageError", "not yours");
    rows.set(key(session.identity, session.sessionId), session);
  },
});
