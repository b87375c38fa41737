// The stream of events from the SmartBox. A weight that is not known to be fresh is not shown.

const SILENCE = 2500; // milliseconds without an event, of which two come each second

/**
 * Follow the events. `on` has a function for each kind, and `link(state)`: "live", "lost" or "full".
 */
export function follow(on) {
  let heard = -Infinity;
  let state = "";
  let source = null;

  const become = (now) => {
    if (now !== state) on.link(state = now);
  };

  function open() {
    source = new EventSource("/display/events");
    for (const kind of ["station", "scales", "tickets"]) {
      source.addEventListener(kind, (event) => {
        heard = performance.now();
        on[kind](JSON.parse(event.data));
        if (kind === "scales") become("live");
      });
    }
    source.addEventListener("error", () => {
      // A refused stream is not tried again by the browser itself.
      if (source.readyState === EventSource.CLOSED) retry();
      if (performance.now() - heard > SILENCE) become("lost");
    });
  }

  async function retry() {
    const problem = await fetch("/display/events", { method: "HEAD" }).catch(() => null);
    become(problem?.status === 503 ? "full" : "lost");
    setTimeout(open, 2000);
  }

  setInterval(() => {
    if (state !== "full" && performance.now() - heard > SILENCE) become("lost");
  }, 250);
  open();
}
