// @supabase/lite in front of a PostgreSQL database, on a free loopback port, which its first line of output tells.
// Its first line of input is its settings, as JSON; it ends with that input, which closes however its holder dies.
// To be evaluated where npm has put the package: node --input-type=module --eval "…".
import { createInterface } from "node:readline";
import { serve } from "@hono/node-server";
import { App } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";

console.error = () => {}; // every refusal of the database's, with its stack

const input = createInterface({ input: process.stdin });
input.on("close", () => process.exit());
const settings = JSON.parse(await new Promise((resolve) => input.once("line", resolve)));

const app = new App({
  connection: createPostgresConnection({ url: settings.database_url }),
  api: { max_rows: settings.max_rows },
  auth: {
    enabled: true, // it looks every signed-in user up
    jwt_secret: settings.jwt_secret,
    publishable_key: settings.publishable_key,
    secret_key: settings.secret_key,
  },
});
const front = { hostname: "127.0.0.1", port: 0, fetch: (request) => app.fetch(request, { peerAddress: null }) };
serve(front, ({ port }) => console.log(port));
