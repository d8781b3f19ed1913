// drain.mjs REDIS_URL JOBS CONCURRENCY: adds jobs, then works them; prints jobs a second.
import { Queue, Worker } from 'bullmq';

const [url, jobs, concurrency] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const { hostname: host, port } = new URL(url);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const queue = new Queue('bench', { connection });
for (let added = 0; added < jobs; added += 1000) {
  const bulk = Array.from({ length: Math.min(1000, jobs - added) }, (_, n) => ({
    name: 'slice',
    data: { tenant: added + n },
    opts: { removeOnComplete: true },
  }));
  await queue.addBulk(bulk);
}
let worked = 0;
let begun;
await new Promise((resolve) => {
  const worker = new Worker(
    'bench',
    async () => {
      begun ??= process.hrtime.bigint();
      worked += 1;
      if (worked === jobs) resolve();
    },
    { connection, concurrency },
  );
  worker.on('error', (error) => console.error(error));
});
console.log(jobs / (Number(process.hrtime.bigint() - begun) / 1e9));
process.exit(0);
