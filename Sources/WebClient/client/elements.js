// @ts-check
// The bell and its family, as custom elements; what they take is in elements.d.ts.

import { CarillonBell } from './bell.js';
import { CarillonItem } from './item.js';
import { CarillonList } from './list.js';
import { CarillonPanel } from './panel.js';
import { CarillonStatus } from './status.js';
import { CarillonToast } from './toast.js';

export { setKind } from './kinds.js';
export { setStrings } from './words.js';
export { CarillonBell, CarillonItem, CarillonList, CarillonPanel, CarillonStatus, CarillonToast };

// Those first that others are made of.
const elements = { item: CarillonItem, status: CarillonStatus, panel: CarillonPanel,
  list: CarillonList, toast: CarillonToast, bell: CarillonBell };
for (const name in elements) customElements.define(`carillon-${name}`, elements[name]);
