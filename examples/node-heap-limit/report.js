// Renders invoices; every one stays reachable from `sent`.
const sent = [];
const log = (level, message, more = {}) =>
  console.log(JSON.stringify({ time: new Date().toISOString(), level, service: "invoices", message, ...more }));

function render(number) {
  const lines = [];
  for (let line = 0; line < 2000; line++) lines.push({ line, text: `invoice ${number} position ${line} `.repeat(4), net: line * 1.19 });
  return lines;
}

log("info", "invoice renderer started", { node: process.version, maxOldSpaceMb: 64 });
for (let number = 1; ; number++) {
  sent.push(render(number));
  const heap = Math.round(process.memoryUsage().heapUsed / 1048576);
  log(heap > 50 ? "warn" : "info", heap > 50 ? "heap is nearly full" : "invoice rendered", { invoice: number, heapUsedMb: heap });
}
