// A job queue of BullMQ: jobs that wait, are delayed, have priorities, fail and are tried again, parents that
// wait for their children, a limited rate. Argument: the port. What became of the jobs is printed in
// a form that does not depend on time, `ok` at the end.

const { Queue, Worker, QueueEvents, FlowProducer } = require("bullmq");

const connection = { host: "127.0.0.1", port: Number(process.argv[2]) };
const settled = { removeOnComplete: false, removeOnFail: false };

async function until(what, isSo) {
  for (let deadline = Date.now() + 30000; ; ) {
    if (await isSo()) return;
    if (Date.now() > deadline) throw new Error("never happened: " + what);
    await new Promise((done) => setTimeout(done, 20));
  }
}

async function main() {
  const queue = new Queue("work", { connection, defaultJobOptions: settled });
  const events = new QueueEvents("work", { connection });
  const flows = new FlowProducer({ connection });
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady(), flows.waitUntilReady()]);
  const heard = { completed: 0, failed: 0, progress: 0 };
  events.on("completed", () => heard.completed++);
  events.on("failed", () => heard.failed++);
  events.on("progress", () => heard.progress++);

  const order = [];
  await queue.pause();
  await queue.addBulk([5, 1, 3].map((priority) => ({ name: "ranked", data: { priority }, opts: { priority } })));
  await queue.add("plain", { word: "grüße" });
  await queue.add("once", {}, { jobId: "same" });
  await queue.add("once", {}, { jobId: "same" });
  await queue.add("later", {}, { delay: 150 });
  await queue.add("stubborn", {}, { attempts: 3, backoff: { type: "fixed", delay: 20 } });
  await queue.add("hopeless", {}, { attempts: 2 });
  await queue.add("removed", {}, { jobId: "gone" });
  console.log("paused", JSON.stringify(await queue.getJobCounts()));
  console.log("removed", await queue.remove("gone"));
  const tree = await flows.add({
    name: "parent",
    queueName: "work",
    opts: settled,
    children: [1, 2, 3].map((n) => ({ name: "child", data: { n }, queueName: "work", opts: settled })),
  });

  const worker = new Worker(
    "work",
    async (job) => {
      order.push(job.name + (job.data.priority ?? ""));
      if (job.name === "plain") await job.updateProgress(50), await job.log("half way");
      if (job.name === "stubborn" && job.attemptsMade < 2) throw new Error("not yet");
      if (job.name === "hopeless") throw new Error("never");
      if (job.name === "child") return job.data.n;
      if (job.name === "parent")
        return Object.values(await job.getChildrenValues()).reduce((sum, n) => sum + n, 0);
      return job.data.word ?? null;
    },
    { connection, concurrency: 1 },
  );
  worker.on("error", (error) => console.log("worker error", error.message));
  await worker.waitUntilReady();
  await queue.resume();
  await until("every job is done", async () => {
    const counts = await queue.getJobCounts();
    return counts.completed === 11 && counts.failed === 1;
  });
  await until("events were heard", () => heard.completed === 11 && heard.failed === 1 && heard.progress === 1);
  const ranked = order.filter((name) => name.startsWith("ranked"));
  console.log("order", ranked.join(" "), "tries", order.filter((name) => name === "stubborn").length);
  const parent = await queue.getJob(tree.job.id);
  console.log("parent", parent.returnvalue, await parent.getState());
  const [failed] = await queue.getFailed();
  console.log("failed", failed.name, failed.attemptsMade, failed.failedReason);
  const plain = (await queue.getCompleted()).find((job) => job.name === "plain");
  console.log("plain", plain.returnvalue, plain.progress, JSON.stringify(await queue.getJobLogs(plain.id)));
  await failed.retry();
  await until("the retried one fails again", async () => (await queue.getFailed())[0]?.attemptsMade > 2);

  await queue.upsertJobScheduler("ticker", { every: 50, limit: 3 }, { name: "tick" });
  await until("it ticked", async () => (await queue.getCompleted()).filter((job) => job.name === "tick").length >= 2);
  await queue.removeJobScheduler("ticker");
  console.log("schedulers", (await queue.getJobSchedulers()).length);
  await worker.close();

  // Two in 100 ms: five take a while, and none is lost.
  const narrow = new Queue("narrow", { connection });
  const limited = new Worker("narrow", async (job) => job.data, { connection, limiter: { max: 2, duration: 100 } });
  await narrow.addBulk([1, 2, 3, 4, 5].map((n) => ({ name: "n", data: { n } })));
  await until("the limited are done", async () => (await narrow.getJobCounts("completed")).completed === 5);
  await limited.close();

  console.log("cleaned", (await queue.clean(0, 100, "failed")).length);
  await queue.obliterate({ force: true });
  console.log("left", JSON.stringify(await queue.getJobCounts()));
  await Promise.all([queue.close(), narrow.close(), events.close(), flows.close()]);
  console.log("ok");
}

main().then(
  () => process.exit(0),
  (error) => {
    console.log(error.stack);
    process.exit(1);
  },
);
