// The types of elements.js: the bell and the related custom elements.
//
//   <script type="module" src="/client/elements.js"></script>
//   <carillon-bell token="…" href="/notifications"></carillon-bell>
//   <carillon-toast></carillon-toast>
//
// Elements without a client of their own share the page's: that of `wsClient` and
// `notificationStore`, which a bell with a `token` connects. For two users in one page, or for a
// token that is fetched, set a client: `bell.client = new Carillon({ token: () => … })`.
//
// ATTRIBUTES of all elements
//   lang      the language, by default that of the enclosing element, else the browser's. Also
//             `en_US` and other names of locales. Texts are English unless `setStrings` or the
//             property `strings` translates them. Times are localized for every language.
//   label     the accessible name and the heading, in place of "Notifications"
//   theme     `light` or `dark`, by default the page's: its CSS property `color-scheme` where the
//             element stands; for a page without one, dark if the body's text is light. Nested
//             elements inherit it.
//   dir       the text direction, as for any element, inherited from the enclosing element
//
// EVENTS, which bubble; `preventDefault()` suppresses their default action
//   carillon-open     a notification was clicked: { notification, group, url }. By default it is
//                     marked as read and the link is followed. A page with its own router
//                     prevents it.
//   carillon-action   an action was clicked: { notification, group, url, action }
//   carillon-read     a notification is about to be marked as read: { notification, group }
//   carillon-dismiss  a notification is about to be removed: { notification, group }
//   carillon-expand   a group is opened or closed: { notification, group }
//   carillon-refused  a change was not accepted and is shown as undone: { notification }, null for
//                     a change of all. By default a panel or list shows a message.
//   carillon-error    the server refused a request or cannot be reached: { error }
//
// STYLE: the button of a bell has the colour of the text around it. Custom properties, set on the
// element or an enclosing one. Colours, for light and dark:
//   --carillon-surface, -hover, -unread (backgrounds), -text, -muted, -border, -accent, -badge,
//   -green, -blue, -gray, -purple, -red, -amber (of the types)
// Others, with their defaults:
//   --carillon-color-scheme    `light`, `dark` or `light dark`, in place of the page's; the
//                              attribute `theme` sets it
//   --carillon-font            system-ui
//   --carillon-radius          of panel, list and toasts: 12px
//   --carillon-shadow          of panel and toasts
//   --carillon-lines           lines of a message before it is cut: 3; a click shows all of it
//   --carillon-panel-width     of the panel of a bell: 420px
//   --carillon-panel-height    largest height of the panel: 560px
// Parts, for `::part()`:
//   bell    bell (the button), badge, panel
//   panel   grip (of the sheet on a phone), header, name, title, count, text (Mark all read),
//           opener (of the menu), menu, choice, scroll, list, skeleton, bone, empty, load,
//           snackbar, undo, footer, status, all (the link)
//   list    the same, and filters, filter, types, end
//   item    item, icon, body, head, title, time, message, meta, priority, more, actions, action,
//           mark, dismiss
//   status  dot, label

import type { Carillon, Notification, NotificationStore } from './carillon.js';

/** Translations by the English text: `{n} unread`, `Clear all`, … */
export type Strings = Record<string, string>;

/** How a type looks and sounds. */
export interface Kind {
  /**
   * `check`, `info`, `trash`, `folder`, `cross`, `alert`, `chat`, `card`, `bell`, or an SVG path on
   * a 24 by 24 grid, drawn with a line width of 2.
   */
  icon?: string;
  /** `green`, `blue`, `gray`, `purple`, `red`, `amber`, or any colour of CSS. */
  color?: string;
  /** The frequencies of its notes, in Hz. */
  sound?: number[];
}

/** A group of notifications. A closed group shows only its newest. */
export interface Group {
  count: number;
  expanded: boolean;
}

export interface ItemDetail {
  notification: Notification;
  group?: Group | null;
}

export interface FollowDetail extends ItemDetail {
  /** Absolute URL; empty if the notification has none. */
  url: string;
  action?: { label: string; url: string };
}

/** Adds translations for a language (`de`, `pt-BR`); a type is translated by its name. */
export function setStrings(language: string, strings: Strings): void;

/** Sets the look and sound of a type. Call it before the first such notification is shown. */
export function setKind(type: string, kind: Kind): void;

interface CarillonElement extends HTMLElement {
  /** The element's own client, else that of the enclosing element, else the page's. */
  client: Carillon | null | undefined;
  /** The client's store, unless it is set: then the element sends no requests. */
  store: NotificationStore;
  /** The element's own translations, which take precedence over those of the language. */
  strings: Strings | undefined;
}

/**
 * A button with the number of unread notifications that opens the panel.
 *
 * An amber dot shows that the connection is lost. On a phone the panel is a sheet at the bottom.
 *
 * Attributes: `token` and `url` connect the page's own client; `href` is the page of all
 * notifications; `sound` enables sounds, for all types or only for those it lists. Removing the
 * token, or setting an empty one, logs out in all tabs. Removing the last element of a page
 * disconnects only this page, until an element returns.
 */
export class CarillonBell extends HTMLElement {
  /** Whether the panel is open. */
  open: boolean;
}
export interface CarillonBell extends CarillonElement {}

/**
 * The newest notifications, with buttons that apply to all of them. Attribute: `href`.
 *
 * "Clear all" can be undone for 8 seconds, or until the panel is closed.
 */
export class CarillonPanel extends HTMLElement {}
export interface CarillonPanel extends CarillonElement {}

/** One notification. */
export class CarillonItem extends HTMLElement {
  notification: Notification | undefined;
  group: Group | null | undefined;
  /** Removes the notification, as its button does. */
  dismiss(): void;
}
export interface CarillonItem extends CarillonElement {}

/**
 * New notifications in a corner, shown for a few seconds, at most three at a time; on a phone
 * or in a low window one.
 *
 * Attributes: `timeout` in milliseconds (default 6000; 0: until it is closed; urgent notifications
 * always stay); `position`: `top-end` (the default), `top-start`, `bottom-end`, `bottom-start`.
 */
export class CarillonToast extends HTMLElement {
  /** Shows a notification from another source. */
  add(notification: Notification): void;
}
export interface CarillonToast extends CarillonElement {}

/** Shows whether notifications arrive in real time. */
export class CarillonStatus extends HTMLElement {}
export interface CarillonStatus extends CarillonElement {}

/**
 * The whole inbox: loaded by pages, filtered by type and by unread, and updated live.
 *
 * It needs a client. While only unread notifications are shown, one that is read stays until the
 * list is reloaded, so that rows do not move under the pointer. Attribute: `page-size` (20).
 */
export class CarillonList extends CarillonPanel {
  /** Loads the first page again. */
  reload(): Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    'carillon-bell': CarillonBell;
    'carillon-panel': CarillonPanel;
    'carillon-item': CarillonItem;
    'carillon-toast': CarillonToast;
    'carillon-status': CarillonStatus;
    'carillon-list': CarillonList;
  }
  interface HTMLElementEventMap {
    'carillon-open': CustomEvent<FollowDetail>;
    'carillon-action': CustomEvent<FollowDetail>;
    'carillon-read': CustomEvent<ItemDetail>;
    'carillon-dismiss': CustomEvent<ItemDetail>;
    'carillon-expand': CustomEvent<ItemDetail>;
    'carillon-refused': CustomEvent<{ notification: Notification | null }>;
    'carillon-error': CustomEvent<{ error: unknown }>;
  }
}
