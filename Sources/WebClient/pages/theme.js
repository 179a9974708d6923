// @ts-check
// Light or dark: the system's setting, until the user chooses one on the page.

import { icon } from './icons.js';

const KEY = 'carillon-theme';
const system = matchMedia('(prefers-color-scheme: dark)');

/** Dispatches `change` when the page's colours change. */
export const theme = new EventTarget();

/** @returns {'light' | 'dark'} */
export function currentTheme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === 'light' || chosen === 'dark') return chosen;
  return system.matches ? 'dark' : 'light';
}

/** @param {string | null} name */
function show(name) {
  if (name === 'light' || name === 'dark') document.documentElement.dataset.theme = name;
  theme.dispatchEvent(new Event('change'));
}

/**
 * Makes `button` switch between the two.
 *
 * @param {HTMLButtonElement} button
 */
export function startTheme(button) {
  const label = () => {
    const other = currentTheme() === 'dark' ? 'light' : 'dark';
    button.replaceChildren(icon(other === 'dark' ? 'moon' : 'sun'));
    button.title = `Switch to ${other} mode`;
    button.setAttribute('aria-label', button.title);
  };
  button.addEventListener('click', () => {
    const name = currentTheme() === 'dark' ? 'light' : 'dark';
    try {
      localStorage.setItem(KEY, name);
    } catch {
      // Storage is blocked: the theme applies to this page view only.
    }
    show(name);
  });
  system.addEventListener('change', () => theme.dispatchEvent(new Event('change')));
  theme.addEventListener('change', label);
  let kept = null;
  try {
    kept = localStorage.getItem(KEY);
  } catch {
    // Storage is blocked.
  }
  show(kept);
}
