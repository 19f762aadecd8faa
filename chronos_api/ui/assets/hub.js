// Runs as one shared worker for all pages of a workspace, however many tabs show them.

import { Stream } from "./stream.js";

// A page says every 20 s that it is there. One that crashed says nothing.
const FORGOTTEN_AFTER = 60000;

const pages = new Map();
let stream = null;

function tellAll(message) {
  for (const port of pages.keys()) port.postMessage(message);
}

function look() {
  const now = Date.now();
  for (const [port, page] of pages) if (now - page.heard > FORGOTTEN_AFTER) pages.delete(port);
  stream?.watched([...pages.values()].some((page) => page.isSeen));
}

self.onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data.leaves) pages.delete(port);
    else pages.set(port, { heard: Date.now(), isSeen: data.isSeen });
    if (!stream) stream = new Stream(data.address, tellAll);
    else if (data.isNew) port.postMessage({ state: stream.state });
    look();
  };
};
setInterval(look, FORGOTTEN_AFTER / 2);
