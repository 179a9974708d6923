"""The server's own pages in Chromium: opened, watched for errors, kept as pictures."""

import os
import re
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect

from harness.browser import PATIENCE, open_page
from harness.proxy import BackgroundProxy
from harness.server import ROOT

# Where a person, or the CI, looks at what was seen.
SCREENSHOTS = Path(os.environ.get("CARILLON_SCREENSHOTS") or ROOT / ".build" / "screenshots")
MILLISECONDS = 1_000
# On a busy machine too.
expect.set_options(timeout=2 * PATIENCE * MILLISECONDS)

# What a page does with a text that it takes for markup, each in its own way.
HOSTILE = [
    "<script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 1">',
    "\u202e<svg onload='window.hacked = 1'>\"'&amp;`${window.hacked = 1}",
]

WATCH = """
window.violations = [];
addEventListener('securitypolicyviolation', (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""

# Each control has a name, each table its heads, each id is there once, and nothing has a style or a
# listener in its markup.
FAULTS = """
() => {
  const faults = [];
  const name = (each) => [each.getAttribute('aria-label'), each.title, each.textContent,
    ...[...(each.labels ?? [])].map((label) => label.textContent),
    each.getAttribute('aria-labelledby') && each.ownerDocument
      .getElementById(each.getAttribute('aria-labelledby'))?.textContent].join('').trim();
  for (const each of document.querySelectorAll(
      'button, input, select, textarea, a, [role=slider], [role=region], [role=log], dialog')) {
    if (!name(each)) faults.push(`no name: ${each.outerHTML.slice(0, 120)}`);
  }
  for (const table of document.querySelectorAll('table')) {
    const isSeen = table.checkVisibility();
    if (isSeen && !table.querySelector('thead th[scope=col]')) faults.push(`no heads: ${table.id}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);
  for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) {
    faults.push(`twice: ${id}`);
  }
  for (const each of document.querySelectorAll('*')) {
    for (const { name } of each.attributes) {
      if (name.startsWith('on')) faults.push(`listener in markup: ${name}`);
    }
  }
  if (!document.documentElement.lang || !document.title) faults.push('no language or title');
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
  return faults;
}
"""

# Texts that are seen, with the contrast that they have by WCAG 2.2.
CONTRASTS = """
() => {
  const pen = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !each.checkVisibility()) continue;
    if (each.closest('.unseen, option, :disabled, .stale')) continue;
    const [one, other] = [light(rgba(getComputedStyle(each).color)), light(ground(each))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) poor.push(`${contrast.toFixed(2)} ${walker.currentNode.data.trim()}`);
  }
  return poor;
}
"""


def open_own_page(context, path, server=None, url=None):
    """One of the server's pages, watched from its beginning; see `assert_quiet`."""
    context.add_init_script(WATCH)
    said = []

    def hear(message):
        if message.type in ("error", "warning"):
            said.append(message.text)

    context.on("console", hear)
    page = open_page(context, path, server=server, url=url)
    page.said = said
    return page


def assert_quiet(page, unreachable=False):
    """Nothing was thrown, refused by the policy or complained of; nor did a hostile text run.

    A server that is away is complained of by the browser itself: `unreachable` lets that pass.
    """
    assert page.uncaught == [], page.uncaught
    violations, hacked = page.evaluate("[window.violations, window.hacked]")
    assert violations == [] and hacked is None, (violations, hacked)
    said = page.said
    if unreachable:
        said = [each for each in said if not is_about_network(each)]
    assert said == [], said


def is_about_network(text):
    """Whether the browser says that something could not be reached, and nothing else."""
    return bool(
        re.search(r"net::ERR_|WebSocket connection to .* failed|the server responded with", text)
    )


def assert_fit(page):
    """What a reader of the screen, a keyboard and weak eyes need."""
    faults, poor = page.evaluate(FAULTS), page.evaluate(CONTRASTS)
    assert faults == [], faults
    assert poor == [], poor


def keep(page, name):
    """Keeps a picture of the whole page for a person to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@contextmanager
def lasting_address(server):
    """An origin that stays while the server behind it ends and begins again on another port."""
    with BackgroundProxy(server) as proxy:
        yield f"http://127.0.0.1:{proxy.address[1]}"


def wait_for(page, expression, value=None):
    """Waits until an expression of the page is true."""
    page.wait_for_function(expression, arg=value, timeout=PATIENCE * MILLISECONDS)
