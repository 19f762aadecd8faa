// A page's connection to the events: by the shared worker, or by a stream of its own.

import { scriptAddress } from "./policy.js";
import { Stream } from "./stream.js";

const HEARTBEAT = 20000;

/** Hand the messages of the stream to `take` while the page is seen. */
export function connect(take) {
  const { events: address, hub } = document.body.dataset;
  const worker = shared(hub, address);
  if (!worker) {
    const stream = new Stream(address, take);
    const look = () => stream.watched(!document.hidden);
    document.addEventListener("visibilitychange", look);
    look();
    return;
  }
  const say = (more) => worker.port.postMessage({ address, isSeen: !document.hidden, ...more });
  worker.port.onmessage = ({ data }) => take(data);
  document.addEventListener("visibilitychange", () => say());
  addEventListener("pagehide", () => say({ leaves: true }));
  addEventListener("pageshow", (event) => { if (event.persisted) say({ isNew: true }); });
  setInterval(say, HEARTBEAT);
  say({ isNew: true });
}

function shared(hub, address) {
  if (!window.SharedWorker) return null;
  try {
    // The name keeps the workspaces apart: each has a worker.
    return new SharedWorker(scriptAddress(hub), { type: "module", name: address });
  } catch {
    return null;
  }
}
