// @ts-check
// The pages' icons, drawn as lines. Letters of a font would differ from system to system.

/** Paths on a grid of 24 by 24. @type {Record<string, string>} */
const PATHS = {
  sun: 'M12 8a4 4 0 1 0 .1 0M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19' +
    'l1.4-1.4M17.6 6.4L19 5',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z',
  received: 'M12 4v15M6 13l6 6 6-6',
  sent: 'M12 20V5M6 11l6-6 6 6',
  remove: 'M6 6l12 12M18 6L6 18',
  add: 'M12 5v14M5 12h14',
};

/**
 * Makes an icon. It has no name of its own: the element around it has one.
 *
 * @param {keyof typeof PATHS} name
 */
export function icon(name) {
  const [svg, path] = ['svg', 'path'].map((tag) =>
    document.createElementNS('http://www.w3.org/2000/svg', tag)
  );
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'glyph');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}
