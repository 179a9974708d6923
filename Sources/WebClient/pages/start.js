// @ts-check
// Begins a page once it has been painted: what stands in the document shows at once, and no module
// takes the processor from it.
//
// The page's template names them all, its own first, so that none waits until another asks for it.

import { startTheme } from './theme.js';

const begin = () => {
  const { content } = /** @type {HTMLTemplateElement} */ (document.querySelector('#modules'));
  const { href } = /** @type {HTMLLinkElement} */ (content.querySelector('link'));
  document.head.append(content);
  import(href);
};

startTheme(/** @type {HTMLButtonElement} */ (document.querySelector('#theme')));
// A page that is in the background is not painted.
if (document.hidden) begin();
else requestAnimationFrame(() => setTimeout(begin));
