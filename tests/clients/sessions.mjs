// A session store: express-session over connect-redis behind a server of HTTP. Argument: the port of the
// data server. Prints what a browser sees, `ok` at the end.

import http from "node:http";
import { createRequire } from "node:module";
const require = createRequire(process.env.NODE_PATH + "/");
const session = require("express-session");
const { RedisStore } = require("connect-redis");
const { createClient } = require("redis");

const client = createClient({ url: "redis://127.0.0.1:" + process.argv[2] });
client.on("error", (error) => console.log("client error", error.message));
await client.connect();
const store = new RedisStore({ client, prefix: "shop:", ttl: 1000, scanCount: 10 });
const answer = session({ store, secret: "quiet", resave: false, saveUninitialized: false, cookie: { maxAge: 600000 } });

const server = http.createServer((request, response) =>
  answer(request, response, (error) => {
    if (error) return response.writeHead(500).end(error.message);
    if (request.url === "/login") request.session.user = { name: "grüße", visits: 0 };
    if (request.url === "/out") return request.session.destroy(() => response.end("out"));
    if (request.session.user) request.session.user.visits++;
    response.end(JSON.stringify(request.session.user ?? null));
  }),
);
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const get = async (path, cookie) => {
  const headers = cookie ? { cookie } : {};
  const response = await fetch("http://127.0.0.1:" + server.address().port + path, { headers });
  return [await response.text(), response.headers.get("set-cookie")?.split(";")[0]];
};

const promised = (name, ...words) =>
  new Promise((done, fail) => store[name](...words, (error, value) => (error ? fail(error) : done(value))));

console.log("nobody", (await get("/"))[0]);
const cookies = [];
for (let n = 0; n < 30; n++) cookies.push((await get("/login"))[1]);
console.log("back", (await get("/", cookies[0]))[0], (await get("/", cookies[0]))[0], (await get("/", cookies[1]))[0]);
console.log("sessions", await promised("length"), (await promised("ids")).length, (await promised("all")).length);
const keys = await client.keys("shop:*");
const ttl = await client.ttl(keys[0]);
console.log("lives on", ttl > 590 && ttl <= 600);
console.log("out", (await get("/out", cookies[1]))[0], (await get("/", cookies[1]))[0], await promised("length"));
await promised("clear");
console.log("cleared", await promised("length"), (await get("/", cookies[0]))[0]);
await client.quit();
server.close();
console.log("ok");
process.exit(0);
