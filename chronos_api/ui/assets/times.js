// Instants: how far they are from now, in the words of the server.

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const FEW = 10;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Return a length in its one or two largest units, like "2 h 5 min". */
export function span(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  for (const [index, [unit, size]] of UNITS.entries()) {
    const count = Math.floor(whole / size);
    if (count) {
      const [smaller, smallerSize] = UNITS[index + 1] ?? ["", 1];
      const more = smaller && count < FEW ? Math.floor((whole % size) / smallerSize) : 0;
      return more ? `${count} ${unit} ${more} ${smaller}` : `${count} ${unit}`;
    }
  }
  return "0 s";
}

/** Return how far an instant is from now: "in 1 h 3 min", "3 s ago". */
export function relative(instant, now) {
  const seconds = (instant - now) / 1000;
  return seconds >= 0 ? `in ${span(seconds)}` : `${span(-seconds)} ago`;
}

function update() {
  const now = Date.now();
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const text = relative(Date.parse(element.dateTime), now);
    if (element.textContent !== text) element.textContent = text;
  }
}

/** Keep the relative times of the page true: every second, or every minute for calm readers. */
export function keepTimes() {
  update();
  setInterval(() => { if (!document.hidden) update(); }, calm.matches ? 60000 : 1000);
}
