// ioredis against a fleet whose master is killed while it writes. Ports of the sentinels as arguments.
//
// Prints `writing PORT` when the first write is acknowledged and `switched PORT N` when N was written
// at another master. The write loop has no end of its own but the deadline, which fails it.
'use strict';
const Redis = require('ioredis');

const PATIENCE_MS = 60000;
const sentinels = process.argv.slice(2).map((port) => ({ host: '127.0.0.1', port: Number(port) }));
const options = {
  sentinels,
  name: 'mymaster',
  connectTimeout: 1000,
  sentinelRetryStrategy: () => 50,
  retryStrategy: () => 50,
  maxRetriesPerRequest: 1,
};
const master = new Redis(options);
const replica = new Redis({ ...options, role: 'slave' });
let last = 'nothing failed yet';
for (const client of [master, replica]) {
  client.on('error', (error) => { last = error.message; });
}
setTimeout(() => {
  console.error(`not through the failover in ${PATIENCE_MS} ms; last: ${last}`);
  process.exit(1);
}, PATIENCE_MS);
const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

async function story() {
  let first = null;
  for (let n = 1; ; n += 1) {
    try {
      // A transaction: the question goes to the server that took the write.
      const [[failed, written], [, info]] = await master.multi().set('client:key', String(n)).info('server').exec();
      if (failed || written !== 'OK') throw failed || new Error(`SET answered ${written}`);
      const port = Number(/tcp_port:(\d+)/.exec(info)[1]);
      if (first === null) {
        first = port;
        console.log(`writing ${port}`);
      } else if (port !== first) {
        while ((await replica.get('client:key')) !== String(n)) await pause();
        console.log(`switched ${port} ${n}`);
        process.exit(0);
      }
    } catch (error) {
      last = error.message;
    }
    await pause();
  }
}
story();
