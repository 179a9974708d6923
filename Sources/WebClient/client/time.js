// @ts-check
// Times that stay true: one timer for all those of a page.

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const shown = new Map();

/** "5m ago", after a week the date; "now" where the server's clock is ahead. */
const draw = (language, element) => {
  const then = Date.parse(element.dateTime);
  const age = Date.now() - then;
  const [length, unit] = age < HOUR ? [MINUTE, 'minute'] : age < DAY ? [HOUR, 'hour'] : [DAY, 'day'];
  const format = (numeric, ...value) =>
    new Intl.RelativeTimeFormat(language, { style: 'narrow', numeric }).format(...value);
  const text = age < MINUTE ? format('auto', 0, 'second')
    : age < 7 * DAY ? format('always', -Math.floor(age / length), unit)
    : new Date(then).toLocaleDateString(language, { dateStyle: 'medium' });
  if (element.textContent !== text) element.textContent = text;
  if (!element.isConnected) shown.delete(element);
};

const drawAll = () => document.hidden || shown.forEach(draw);
setInterval(drawAll, 5_000);
document.addEventListener('visibilitychange', drawAll);

/** Keeps it true while it is in the page. */
export const keepTime = (element, time, language) => {
  element.dateTime = time;
  element.hidden = isNaN(Date.parse(time));
  if (element.hidden) return;
  element.title = new Date(time).toLocaleString(language);
  shown.set(element, language);
  draw(language, element);
};
