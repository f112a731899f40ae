// Keeps data.place before the eyes of who follows the page's end when more is drawn below it.
// Once for each data.moment.
//
// Streamlit keeps a page with a chat box at its very end: figures that come below an answer
// would push it out of sight as soon as it is whole.

const done = new Set();
const TICK = 100, TICKS = 100; // milliseconds, 10 s: what comes below is some time in coming

export default function ({ data }) {
  if (done.has(data.moment)) return;
  done.add(data.moment);
  let ticks = TICKS;
  const leave = () => (ticks = 0); // whoever scrolls or types goes where they will
  for (const act of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    window.addEventListener(act, leave, { once: true, passive: true });
  }
  const timer = setInterval(() => {
    if (ticks-- <= 0) return clearInterval(timer);
    const page = document.querySelector('[data-testid="stAppScrollToBottomContainer"]');
    const place = document.querySelector(data.place);
    if (!page || !place || page.scrollHeight - page.scrollTop - page.clientHeight > 100) return;
    place.style.scrollMarginBottom = "12rem"; // what the box at the page's foot covers
    place.scrollIntoView({ block: "end" });
  }, TICK);
}
