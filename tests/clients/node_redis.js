// node-redis against a fleet whose master is killed while it writes. Ports of the sentinels as arguments.
//
// Prints `writing PORT` when the first write is acknowledged and `switched PORT N` when N was written
// at another master. The write loop has no end of its own but the deadline, which fails it.
'use strict';
const { createSentinel } = require('redis');

const PATIENCE_MS = 60000;
let last = 'nothing failed yet';
setTimeout(() => {
  console.error(`not through the failover in ${PATIENCE_MS} ms; last: ${last}`);
  process.exit(1);
}, PATIENCE_MS);
const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
const socket = { connectTimeout: 1000, reconnectStrategy: 50 };

async function story() {
  const sentinel = createSentinel({
    name: 'mymaster',
    sentinelRootNodes: process.argv.slice(2).map((port) => ({ host: '127.0.0.1', port: Number(port) })),
    nodeClientOptions: { socket },
    sentinelClientOptions: { socket },
    masterPoolSize: 1,
    replicaPoolSize: 1,
    scanInterval: 1000,
    passthroughClientErrorEvents: true,
  });
  sentinel.on('error', (error) => { last = error.message; });
  sentinel.on('client-error', (event) => { last = `${event.type}: ${event.error.message}`; });
  await sentinel.connect();
  let first = null;
  for (let n = 1; ; n += 1) {
    try {
      // A transaction: the question goes to the server that took the write.
      const [written, info] = await sentinel.multi().set('client:key', String(n)).info('server').exec();
      const port = Number(/tcp_port:(\d+)/.exec(info)[1]);
      if (written !== 'OK') throw new Error(`SET answered ${written}`);
      if (first === null) {
        first = port;
        console.log(`writing ${port}`);
      } else if (port !== first) {
        // A read goes to a replica.
        while ((await sentinel.get('client:key')) !== String(n)) await pause();
        console.log(`switched ${port} ${n}`);
        process.exit(0);
      }
    } catch (error) {
      last = error.message;
    }
    await pause();
  }
}
story().catch((error) => {
  console.error(error);
  process.exit(1);
});
