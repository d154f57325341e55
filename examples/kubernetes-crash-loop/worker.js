// An order worker that cannot go on without its Redis.
const net = require("node:net");
const log = (message) => console.log(`${new Date().toISOString()} worker: ${message}`);

log(`order-worker 2.3.1 starting, node ${process.version}`);
log(`environment ${JSON.stringify(Object.fromEntries(Array.from({ length: 700 }, (_, n) => [`FEATURE_FLAG_${n}`, n % 3 === 0])))}`);
log("connecting to redis at 127.0.0.1:6390");
let tries = 0;
function connect() {
  const socket = net.connect(6390, "127.0.0.1");
  socket.on("error", (error) => {
    tries += 1;
    console.error(`${new Date().toISOString()} worker: redis connection failed (try ${tries} of 5): ${error.message}`);
    if (tries === 5) throw error;
    setTimeout(connect, 200);
  });
}
setInterval(() => log("heartbeat: queue depth unknown"), 300);
connect();
