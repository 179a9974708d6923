// Draws the open page as SVG: small text that can be committed, where a screenshot is binary.
//
// It draws backgrounds, borders, lines of text and inline SVG, clipped as on the page. It does not
// draw shadows, images, canvases and the boxes of `::before` and `::after`. Each line of text has
// the length that it has in this browser, so it keeps its place with another font.

const isSeen = (color) => !/^(none$|rgba\(.*, 0\)$|color\(.*\/ 0\)$)/.test(color);
const escaped = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;');
const rounded = (number) => String(Math.round(number * 10) / 10);

/** The opening of a tag; undefined attributes are left out. */
function opening(name, attributes) {
  const parts = Object.entries(attributes).filter(([, value]) => value !== undefined).map((
    [key, value],
  ) => ` ${key}="${typeof value === 'number' ? rounded(value) : escaped(value)}"`);
  return `<${name}${parts.join('')}`;
}

/** A color as hexadecimal digits, and its opacity if it is not opaque. */
function paint(color, name = 'fill') {
  const [red, green, blue, alpha] = color.match(/[\d.]+/g).map(Number);
  // `color-mix` gives color(srgb …), with numbers from 0 to 1.
  const most = color.startsWith('color(srgb') ? 255 : 1;
  const digits = [red, green, blue].map((each) =>
    Math.round(each * most).toString(16).padStart(2, '0')
  );
  // As text, because its digits are not rounded like those of a length.
  return { [name]: `#${digits.join('')}`, [`${name}-opacity`]: alpha && String(alpha) };
}

/** The text with the capital letters that its style gives it. */
const transformed = (text, { textTransform }) =>
  textTransform === 'capitalize' ? text.replace(/^./u, (letter) => letter.toUpperCase()) : text;

class Drawing {
  lines = [];
  clipCount = 0;
  /** Elements above the page: open popovers and fixed ones, drawn last. */
  above = [];

  box(element, style) {
    const { x, y, width, height } = element.getBoundingClientRect();
    if (!width || !height) return;
    const radius = Math.min(parseFloat(style.borderTopLeftRadius) || 0, width / 2, height / 2);
    const [top, bottom] = [parseFloat(style.borderTopWidth), parseFloat(style.borderBottomWidth)];
    const left = parseFloat(style.borderLeftWidth);
    const isFramed = top > 0 && left > 0 && isSeen(style.borderTopColor);
    if (isSeen(style.backgroundColor) || isFramed) {
      this.lines.push(
        opening('rect', {
          x,
          y,
          width,
          height,
          rx: radius || undefined,
          ...(isSeen(style.backgroundColor) ? paint(style.backgroundColor) : { fill: 'none' }),
          ...(isFramed ? paint(style.borderTopColor, 'stroke') : {}),
        }) + '/>',
      );
    }
    if (isFramed) return;
    const edges = [[top, style.borderTopColor, y], [bottom, style.borderBottomColor, y + height]];
    for (const [size, color, edge] of edges) {
      if (size > 0 && isSeen(color)) {
        const d = `M${rounded(x)} ${rounded(edge)}h${rounded(width)}`;
        this.lines.push(opening('path', { d, ...paint(color, 'stroke') }) + '/>');
      }
    }
  }

  text(node, style) {
    const range = document.createRange();
    let line;
    const finish = () => {
      if (!line?.text.trim()) return;
      const { x, bottom, height, right, text } = line;
      this.lines.push(
        opening('text', {
          x,
          y: bottom - height * 0.22,
          'font-size': parseFloat(style.fontSize),
          'font-weight': style.fontWeight === '400' ? undefined : style.fontWeight,
          textLength: right - x,
          ...paint(style.color),
        }) + `>${escaped(transformed(text.trim(), style))}</text>`,
      );
    };
    for (let index = 0; index < node.length; index++) {
      range.setStart(node, index);
      range.setEnd(node, index + 1);
      const [rect] = range.getClientRects();
      if (!rect?.width) continue;
      if (!line || Math.abs(line.top - rect.top) > 2) {
        finish();
        const { x, top, bottom, height } = rect;
        line = { x, top, bottom, height, text: '' };
      }
      line.text += node.data[index];
      if (node.data[index].trim()) line.right = rect.right;
    }
    finish();
  }

  icon(element) {
    const copy = element.cloneNode(true);
    const originals = [element, ...element.querySelectorAll('*')];
    const copies = [copy, ...copy.querySelectorAll('*')];
    for (const [index, each] of originals.entries()) {
      const style = getComputedStyle(each);
      for (const name of ['class', 'style', 'part', 'hidden', 'aria-hidden', 'focusable']) {
        copies[index].removeAttribute(name);
      }
      for (const name of ['fill', 'stroke', 'stroke-width', 'stroke-linecap', 'stroke-linejoin']) {
        const value = style.getPropertyValue(name);
        copies[index].setAttribute(name, value.startsWith('rgb') ? paint(value).fill : value);
      }
    }
    const { x, y, width, height } = element.getBoundingClientRect();
    for (const [name, value] of Object.entries({ x, y, width, height })) {
      copy.setAttribute(name, rounded(value));
    }
    this.lines.push(new XMLSerializer().serializeToString(copy));
  }

  element(element, isAbove = false) {
    const style = getComputedStyle(element);
    if (style.display === 'none' || style.opacity === '0') return;
    if (style.position === 'fixed' && !isAbove) return void this.above.push(element);
    if (style.visibility === 'hidden') return;
    if (element.localName === 'svg') return this.icon(element);
    this.box(element, style);
    const isClipped = style.overflow !== 'visible';
    if (isClipped) {
      const { x, y, width, height } = element.getBoundingClientRect();
      const id = `c${this.clipCount++}`;
      const clip = opening('rect', { x, y, width, height });
      this.lines.push(`<clipPath id="${id}">${clip}/></clipPath><g clip-path="url(#${id})">`);
    }
    const children = element.localName === 'slot'
      ? element.assignedNodes({ flatten: true })
      : (element.shadowRoot ?? element).childNodes;
    for (const child of children) {
      if (child.nodeType === Node.TEXT_NODE) this.text(child, style);
      else if (child.nodeType === Node.ELEMENT_NODE) this.element(child);
    }
    if (isClipped) this.lines.push('</g>');
  }
}

/** The page as SVG, with a title for readers who do not see it. */
window.vector = (title) => {
  const drawing = new Drawing();
  drawing.element(document.body);
  while (drawing.above.length) drawing.element(drawing.above.shift(), true);
  const [width, height] = [innerWidth, innerHeight];
  const head = opening('svg', {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    'font-family': 'system-ui, sans-serif',
    role: 'img',
  });
  return [`${head}>`, `<title>${escaped(title)}</title>`, ...drawing.lines, '</svg>', ''].join(
    '\n',
  );
};
