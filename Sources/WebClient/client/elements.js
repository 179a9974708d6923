// @ts-check
// The bell and its family; elements.d.ts tells what they take.

export * from './bell.js';
export * from './item.js';
export { setKind } from './kinds.js';
export * from './list.js';
export * from './panel.js';
export * from './status.js';
export * from './toast.js';
export { setStrings } from './element.js';
