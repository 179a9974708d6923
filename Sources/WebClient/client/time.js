// @ts-check
// Times that stay true: one timer for a page.

const MINUTE = 60_000, HOUR = 3_600_000, DAY = 86_400_000;
const shown = new Map();

const draw = (language, element) => {
  const then = Date.parse(element.dateTime);
  const age = Date.now() - then;
  const [length, unit] =
    age < HOUR ? [MINUTE, 'minute'] : age < DAY ? [HOUR, 'hour'] : [DAY, 'day'];
  const format = (numeric, count, unit) =>
    new Intl.RelativeTimeFormat(language, { style: 'narrow', numeric }).format(count, unit);
  const text = age < MINUTE ? format('auto', 0, 'second')
    : age < 7 * DAY ? format('always', -Math.floor(age / length), unit)
    : new Date(then).toLocaleDateString(language, { dateStyle: 'medium' });
  if (element.textContent !== text) element.textContent = text;
  if (!element.isConnected) shown.delete(element);
};

const drawAll = () => document.hidden || shown.forEach(draw);
setInterval(drawAll, 5_000);
document.addEventListener('visibilitychange', drawAll);

export const keepTime = (element, time, language) => {
  element.dateTime = time;
  element.hidden = isNaN(Date.parse(time));
  if (element.hidden) return;
  element.title = new Date(time).toLocaleString(language);
  shown.set(element, language);
  draw(language, element);
};
