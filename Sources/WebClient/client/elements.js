// @ts-check
// What they take is in elements.d.ts.

export * from './bell.js';
export * from './item.js';
export { setKind } from './kinds.js';
export * from './list.js';
export * from './panel.js';
export * from './status.js';
export * from './toast.js';
export { setStrings } from './element.js';
