// The least that a store in Node can be: what is timed in front of it is the bridge.

import { serve } from "../pytest_mcp_storage/bridge/node/serve.mjs";

class Store {
  rows = new Map();
  async createSession(session) {
    this.rows.set(session.sessionId, session);
  }
  async getSession(identity, sessionId) {
    return this.rows.get(sessionId) ?? null;
  }
}

serve({ name: "least", version: "1", open: () => new Store() });
