// The types of elements.js: the bell and its family, as custom elements.
//
//   <script type="module" src="/client/elements.js"></script>
//   <carillon-bell token="…" href="/notifications"></carillon-bell>
//   <carillon-toast></carillon-toast>
//
// Elements that are given no client share the page's own: the one of `wsClient` and
// `notificationStore`, which a bell with a `token` connects. Two users in one page, or a token that
// is fetched, take a client each: `bell.client = new Carillon({ token: () => … })`.
//
// ATTRIBUTES of all of them
//   lang      the language; else that of what is around it. English needs no words, others get
//             them by `setStrings` or the property `strings`. Times speak every language.
//   label     the accessible name and the heading, in place of "Notifications"
//   theme     `light` or `dark`; else as the system has it. What is inside takes it over.
//   dir       as everywhere, also of what is around it
//
// EVENTS, which bubble, and which `preventDefault()` keeps from having their effect
//   carillon-open     a notification was clicked: { notification, group, url }. Its effect is that
//                     it is marked as read and the link followed; who routes by itself prevents it.
//   carillon-action   an action was clicked: { notification, group, url, action }
//   carillon-read     it is about to be marked as read: { notification, group }
//   carillon-dismiss  it is about to be removed: { notification, group }
//   carillon-expand   a group is opened or closed: { notification, group }
//   carillon-error    the server refused, or could not be reached: { error }
//
// STYLE: custom properties, on the element or anything around it. Colours, each for light and dark:
//   --carillon-surface, -hover, -unread (backgrounds), -text, -muted, -border, -accent, -badge,
//   -green, -blue, -gray, -purple, -red, -amber (of the types)
// and
//   --carillon-color-scheme    `light`, `dark` or `light dark`, as `theme` says it
//   --carillon-font            system-ui
//   --carillon-radius          of panel, list and toasts: 12px
//   --carillon-shadow          of panel and toasts
//   --carillon-lines           of a message before it is cut: 3; a click shows all of it
//   --carillon-panel-width     of the panel of a bell: 420px
//   --carillon-panel-height    at most: 560px
// Parts, for `::part()`:
//   bell    bell (the button), badge, panel
//   panel   header, title, count, text (its buttons), scroll, list, empty, footer, all (the link)
//   list    the same, and filters, filter, types, load, end
//   item    item, icon, body, title, message, meta, time, priority, more, actions, action, mark,
//           dismiss
//   status  dot, label

import type { Carillon, Notification, NotificationStore } from './carillon.js';

/** What the words are in another language, by the English ones: `{n} unread`, `Clear all`, … */
export type Strings = Record<string, string>;

/** How a type looks and sounds. */
export interface Kind {
  /**
   * `check`, `info`, `trash`, `folder`, `cross`, `alert`, `chat`, `card`, `bell`, or the path of
   * another one, drawn on 24 by 24 by a line of 2.
   */
  icon?: string;
  /** `green`, `blue`, `gray`, `purple`, `red`, `amber`, or any colour of CSS. */
  color?: string;
  /** The frequencies of its notes, in Hz. */
  sound?: number[];
}

/** A closed group is shown by its newest. */
export interface Group {
  count: number;
  expanded: boolean;
}

export interface ItemDetail {
  notification: Notification;
  group?: Group | null;
}

export interface FollowDetail extends ItemDetail {
  /** Absolute; empty where it leads nowhere. */
  url: string;
  action?: { label: string; url: string };
}

/** Adds words of a language (`de`, `pt-BR`) for the page; those of `type`s are by its name. */
export function setStrings(language: string, strings: Strings): void;

/** Says how a type looks and sounds, before it is shown. */
export function setKind(type: string, kind: Kind): void;

interface CarillonElement extends HTMLElement {
  /** Its own, else that of the element around it, else the page's. */
  client: Carillon | null | undefined;
  /** Of the client, unless it is given one: then nothing is asked of a server. */
  store: NotificationStore;
  /** Its own words, before those of the language. */
  strings: Strings | undefined;
}

/**
 * A button with the number of unread notifications, which opens the panel.
 *
 * Attributes: `token` and `url` connect the page's own client; `href` is the page of all
 * notifications; `sound` lets them sound, all or those of the types that it names.
 */
export class CarillonBell extends HTMLElement {
  /** Whether the panel is open. */
  open: boolean;
}
export interface CarillonBell extends CarillonElement {}

/** The newest notifications, and what can be done to all of them. Attribute: `href`. */
export class CarillonPanel extends HTMLElement {}
export interface CarillonPanel extends CarillonElement {}

/** One notification. */
export class CarillonItem extends HTMLElement {
  notification: Notification | undefined;
  group: Group | null | undefined;
  /** As its button does. */
  dismiss(): void;
}
export interface CarillonItem extends CarillonElement {}

/**
 * What is new, in a corner, for a while: at most three at a time.
 *
 * Attributes: `timeout` in milliseconds (6000; 0 is until it is closed; urgent ones stay anyway);
 * `position`: `top-end` (the default), `top-start`, `bottom-end`, `bottom-start`.
 */
export class CarillonToast extends HTMLElement {
  /** Shows one that came another way. */
  add(notification: Notification): void;
}
export interface CarillonToast extends CarillonElement {}

/** Whether notifications come in real time. */
export class CarillonStatus extends HTMLElement {}
export interface CarillonStatus extends CarillonElement {}

/**
 * The whole inbox by pages, filtered by type and by what is unread, live. It needs a client.
 *
 * What is read while only the unread are shown stays until the list is made anew, so that nothing
 * jumps away under a person's hand. Attribute: `page-size` (20).
 */
export class CarillonList extends CarillonPanel {
  /** Asks for the first page anew. */
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
    'carillon-error': CustomEvent<{ error: unknown }>;
  }
}
