// The event stream of a workspace, opened once for all pages of a browser that follow it.

const FAILURES_UNTIL_POLLING = 3;
const POLL_PAUSE = 10000;
const LONGEST_PAUSE = 30000;
// A page that is hidden for a moment, or loads its next one, keeps the stream.
const LINGER = 20000;

const ENDS = ["succeeded", "failed", "cancelled", "skipped"];

export const STATES = { live: "● live", reconnecting: "◌ reconnecting", polling: "⏲ every 10 s" };

/** Return how much a summary of changes tells: executions that ended, and actions of users. */
function happened({ executions, actions, omitted }) {
  return ENDS.reduce((sum, status) => sum + (executions[status] ?? 0), actions.length + omitted);
}

/** Opens the stream while some page is seen, and tells `tell(message)` what it says. */
export class Stream {
  constructor(address, tell) {
    this.address = address;
    this.tell = tell;
    this.state = "reconnecting";
    this.source = null;
    this.failures = 0;
    this.timers = {};
  }

  /** Whether any page is seen now. */
  watched(isWatched) {
    clearTimeout(this.timers.linger);
    if (isWatched && !this.source && !this.timers.again) this.open();
    if (!isWatched) this.timers.linger = setTimeout(() => this.close(), LINGER);
  }

  open() {
    this.timers.again = 0;
    this.source = new EventSource(this.address);
    this.source.onopen = () => {
      // What happened while the stream was closed was not told.
      if (this.failures) this.tell({ event: "reset" });
      this.failures = 0;
      this.say("live");
    };
    this.source.onerror = () => this.failed();
    this.source.addEventListener("changes", ({ data }) => this.tell({ event: "changes", count: happened(JSON.parse(data)) }));
    this.source.addEventListener("reset", () => this.tell({ event: "reset" }));
  }

  failed() {
    // It is opened again here, as browsers do not after an answer with an error.
    this.source?.close();
    this.source = null;
    this.failures += 1;
    this.say(this.failures < FAILURES_UNTIL_POLLING ? "reconnecting" : "polling");
    const pause = Math.min(1000 * 2 ** (this.failures - 1), LONGEST_PAUSE);
    this.timers.again = setTimeout(() => this.open(), pause);
  }

  close() {
    clearTimeout(this.timers.again);
    this.timers.again = 0;
    this.source?.close();
    this.source = null;
  }

  say(state) {
    this.state = state;
    this.tell({ state });
    clearInterval(this.timers.poll);
    if (state === "polling") this.timers.poll = setInterval(() => this.tell({ event: "poll" }), POLL_PAUSE);
  }
}
