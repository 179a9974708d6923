// @ts-check
// Light or dark: as the system says, until a person says otherwise on the page.

const KEY = 'carillon-theme';
const system = matchMedia('(prefers-color-scheme: dark)');

/** Tells `change` when the page's colours are others than before. */
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
 * Makes `button` change between the two.
 *
 * @param {HTMLButtonElement} button
 */
export function startTheme(button) {
  const label = () => {
    const other = currentTheme() === 'dark' ? 'light' : 'dark';
    button.textContent = other === 'dark' ? '☾' : '☀';
    button.title = `Show it ${other}`;
    button.setAttribute('aria-label', button.title);
  };
  button.addEventListener('click', () => {
    const name = currentTheme() === 'dark' ? 'light' : 'dark';
    try {
      localStorage.setItem(KEY, name);
    } catch {
      // A browser that keeps nothing still shows it.
    }
    show(name);
  });
  system.addEventListener('change', () => theme.dispatchEvent(new Event('change')));
  theme.addEventListener('change', label);
  let kept = null;
  try {
    kept = localStorage.getItem(KEY);
  } catch {
    // As above.
  }
  show(kept);
}
