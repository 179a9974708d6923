"""Every picture: elements, states, colour schemes of page and system, and screens.

A picture's name is its subject, screen, state and schemes: `panel phone empty dark-light` is an
empty panel on a phone, on a dark page in a light system. Contact sheets have one column for each
pair of schemes.
"""

from playwright.sync_api import expect

from harness.contact_sheets import write_sheet
from harness.elements import SCREENSHOTS, connected, open_panel, toasts, until
from harness.studio import (
    DARK,
    LIGHT,
    SAMPLES,
    SETTLED,
    ZOOMED,
    console_gate,
    console_in_use,
    demo_in_use,
    demo_server,
    loaded,
    refuse,
)

SCREENS = {
    "desktop": {"viewport": {"width": 1100, "height": 800}},
    "phone": {"viewport": {"width": 375, "height": 812}, "has_touch": True, "is_mobile": True},
    "small": {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True},
    "zoomed": ZOOMED,
}
SCHEMES = [(page, system) for page in ("light", "dark") for system in ("light", "dark")]
STYLES = {"light": LIGHT, "dark": DARK}
# Each state's number of unread notifications, and how its page differs from others.
STATES = {
    "loading": (8, {"route": lambda route: None}),
    "empty": (0, {}),
    "failed": (8, {"route": refuse}),
    "25": (25, {}),
    "120": (120, {}),
    "long": (120, {"lang": "de"}),
    "rtl": (25, {"lang": "ar", "dir": "rtl"}),
}
# States with toasts that other states do not have.
WITH_TOASTS = ["25", "long", "rtl"]
# The translations of the states `long` and `rtl`.
STRINGS = {
    "de": {
        "Notifications": "Benachrichtigungen",
        "{n} unread": "{n} ungelesene",
        "Mark all read": "Alle als gelesen markieren",
        "Clear all": "Alle Benachrichtigungen löschen",
        "Unread only": "Nur ungelesene",
        "All types": "Alle Arten von Benachrichtigungen",
        "Real-time": "In Echtzeit verbunden",
        "See all": "Alle Benachrichtigungen ansehen",
        "Load more": "Weitere Benachrichtigungen laden",
        "{n} more": "{n} weitere Benachrichtigungen",
        "high": "hohe Dringlichkeit",
        "urgent": "dringend",
    },
    "ar": {
        "Notifications": "الإشعارات",
        "{n} unread": "{n} غير مقروءة",
        "Mark all read": "تعليم الكل كمقروء",
        "Clear all": "مسح الكل",
        "Unread only": "غير المقروءة فقط",
        "All types": "كل الأنواع",
        "Real-time": "مباشر",
        "See all": "عرض الكل",
        "Load more": "تحميل المزيد",
        "{n} more": "{n} أخرى",
        "high": "مهم",
        "urgent": "عاجل",
    },
}
ARABIC = dict(type="comment", title="ردّت آدا على تعليقك", message="«لنطلقه يوم الاثنين القادم.»")


def take_matrix(studio, directory):
    """Takes all wanted pictures, and tiles them into contact sheets."""
    taken = {}
    for screen in SCREENS:
        for state in STATES:
            for schemes in SCHEMES:
                take_elements(studio, taken, screen, state, schemes)
    take_demo(studio, taken, directory)
    take_console(studio, taken)
    for (subject, screen), tiles in taken.items():
        write_sheet(studio.browser, f"{subject} {screen}", tiles)


def keep(taken, page, subject, screen, state, schemes, **options):
    """Takes one picture, and notes it for its contact sheet."""
    until(page, SETTLED)
    name = f"{subject} {screen} {state} {schemes[0]}-{schemes[1]}"
    path = SCREENSHOTS / f"{name.replace(' ', '-')}.png"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, **options)
    taken.setdefault((subject, screen), []).append((name, path))


def take_elements(studio, taken, screen, state, schemes):
    """Takes the list, the bell, the panel and the toasts of one page."""
    if not studio.wants(f"elements-{screen}-{state}-{schemes[0]}-{schemes[1]}"):
        return
    unread, differences = STATES[state]
    user = studio.user(unread)
    if state == "rtl":
        studio.server.publish(user, **ARABIC)
    options = {"color_scheme": schemes[1], **SCREENS[screen], **differences}
    with studio.page(user, style=STYLES[schemes[0]], **options) as page:
        for language, strings in STRINGS.items():
            page.evaluate("(all) => elements.setStrings(...all)", [language, strings])
        place = screen, state, schemes
        if state == "loading":
            connected(page)
        elif state == "failed":
            retry = page.locator("carillon-list").get_by_role("button", name="Try again")
            expect(retry).to_be_visible()
        else:
            loaded(page)
        keep(taken, page, "list", *place)
        keep(taken, page, "bell", *place, clip=end_of(page, 60))
        open_panel(page)
        keep(taken, page, "panel", *place, clip=end_of(page))
        if state in WITH_TOASTS:
            page.keyboard.press("Escape")
            # The urgent one is the last: on a phone it would stay in place of others.
            last = ARABIC if state == "rtl" else SAMPLES[6]
            for sample in (SAMPLES[5], SAMPLES[2], last):
                studio.server.publish(user, **sample)
                expect(toasts(page).locator(".title").first).to_have_text(sample["title"])
            keep(taken, page, "toast", *place, clip=end_of(page))


def end_of(page, height=800):
    """Returns the part of the page with the bell, the panel and the toasts: its end."""
    right_to_left = page.evaluate("document.dir") == "rtl"
    size = page.viewport_size
    width = min(480, size["width"])
    start = 0 if right_to_left else size["width"] - width
    return {"x": start, "y": 0, "width": width, "height": min(height, size["height"])}


def themed(schemes, screen):
    """Returns the options of one of the server's own pages with the user's choice of theme."""
    return {"theme": schemes[0], "color_scheme": schemes[1], **SCREENS[screen]}


def take_demo(studio, taken, directory):
    names = [(f"demo-{screen}", screen) for screen in SCREENS]
    wanted = [screen for name, screen in names if studio.wants(name)]
    if not wanted:
        return
    with demo_server(directory) as server:
        for screen in wanted:
            for schemes in SCHEMES:
                with demo_in_use(studio, server, **themed(schemes, screen)) as page:
                    keep(taken, page, "demo", screen, "page", schemes, full_page=True)
                    # Toasts are at the bottom of the screen.
                    bell = page.locator("carillon-bell .bell").first
                    bell.evaluate("(it) => it.scrollIntoView({ block: 'center' })")
                    bell.click()
                    expect(page.locator("carillon-bell carillon-panel").first).to_be_visible()
                    keep(taken, page, "demo-panel", screen, "open", schemes)


def take_console(studio, taken):
    for screen in SCREENS:
        if not studio.wants(f"console-{screen}"):
            continue
        for schemes in SCHEMES:
            with console_gate(studio, **themed(schemes, screen)) as page:
                keep(taken, page, "console-gate", screen, "sign-in", schemes)
                with console_in_use(studio, page, updates=1):
                    keep(taken, page, "console", screen, "board", schemes, full_page=True)
                    page.locator("#disconnect").click()
                    expect(page.get_by_role("dialog")).to_be_visible()
                    keep(taken, page, "console-dialog", screen, "disconnect", schemes)
