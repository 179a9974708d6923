// @ts-check
// Starts a page after its first paint, so that its markup shows at once and no module competes for
// the processor.
//
// The page's template lists all modules, the page's own first, so that they load in parallel.

import { startTheme } from './theme.js';

const begin = () => {
  const { content } = /** @type {HTMLTemplateElement} */ (document.querySelector('#modules'));
  const link = /** @type {HTMLLinkElement} */ (content.querySelector('link'));
  // Only in the document does the link have its base.
  document.head.append(content);
  import(link.href);
};

startTheme(/** @type {HTMLButtonElement} */ (document.querySelector('#theme')));
// A page in the background is not painted, so start at once.
if (document.hidden) begin();
else requestAnimationFrame(() => setTimeout(begin));
