// @ts-check
// Readable formats of figures, and the steps of an axis.

const plain = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });

/**
 * Formats a value with three digits and a unit prefix.
 *
 * @param {number} value
 * @param {string[]} prefixes
 */
function scaled(value, prefixes) {
  let index = 0;
  while (Math.abs(value) >= 999.5 && index < prefixes.length - 1) {
    value /= 1_000;
    index += 1;
  }
  const digits = Math.abs(value) >= 99.5 || Number.isInteger(value) ? 0 : value >= 9.95 ? 1 : 2;
  const text = value.toFixed(digits).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
  return prefixes[index] === '' ? text : text + prefixes[index];
}

/** @type {Record<string, (value: number) => string>} */
export const formats = {
  count: (
    value,
  ) => (Math.abs(value) < 10_000 ? plain.format(value) : scaled(value, ['', ' k', ' M', ' G'])),
  rate: (value) => `${scaled(value, ['', ' k', ' M', ' G'])}/s`,
  bytes: (value) => `${scaled(value, [' B', ' kB', ' MB', ' GB'])}/s`,
  size: (value) => scaled(value, [' B', ' kB', ' MB', ' GB']),
  latency: (value) => scaled(value, [' µs', ' ms', ' s']),
};

/**
 * Returns steps of 1, 2 or 5 times a power of ten from 0 to at least `largest`.
 *
 * @param {number} largest
 * @param {number} least the smallest useful step
 * @param {number} [wanted] the approximate number of steps
 */
export function axisSteps(largest, least, wanted = 4) {
  const rough = Math.max(largest / wanted, least);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.999);
  const size = step ?? rough;
  const steps = [0];
  while (steps[steps.length - 1] < largest || steps.length < 3) steps.push(steps.length * size);
  return steps;
}

/**
 * Formats a time in its two largest units: "3 d 4 h".
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [Math.floor(seconds) % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => Number(count) > 0);
  if (first < 0) return '0 s';
  return parts.slice(first, first + 2).map((part) => part.join(' ')).join(' ');
}
