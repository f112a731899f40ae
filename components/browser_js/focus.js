// Gives the keyboard's focus to what the first of data.places finds that finds any, once what had
// it is gone from the page. Once for each data.moment.
//
// A browser lets the focus fall to the page as a whole: whoever uses no mouse would begin at
// the top of it.

const done = new Set();
const TICK = 100, TICKS = 50; // milliseconds, 5 s: the page is drawn a while longer

export default function ({ data }) {
  if (done.has(data.moment)) return;
  done.add(data.moment);
  let ticks = TICKS;
  const timer = setInterval(() => {
    if (ticks-- <= 0) return clearInterval(timer);
    const place = data.places.map((place) => document.querySelector(place)).find(Boolean);
    if (!place || document.activeElement !== document.body) return;
    place.focus({ preventScroll: true }); // which is the page's to decide, and the person's
    clearInterval(timer);
  }, TICK);
}
