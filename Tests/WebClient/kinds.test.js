// The icon and the colour that the elements give each type of notification.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stubElements } from './page.js';

stubElements();
const { kindOf } = await import('../../Sources/WebClient/client/item.js');

for (
  const [type, color, icon] of [
    ['trade.created', 'green', 'check'],
    ['trade.updated', 'blue', 'info'],
    ['trade.deleted', 'gray', 'trash'],
    ['journal.created', 'green', 'check'],
    ['journal.updated', 'blue', 'info'],
    ['csv.import', 'purple', 'folder'],
    ['error', 'red', 'cross'],
    ['info', 'blue', 'info'],
    ['success', 'green', 'check'],
    ['payment_succeeded', 'green', 'check'],
    ['payment_failed', 'red', 'cross'],
    ['incident_created', 'amber', 'alert'],
    ['escrow.opened', 'purple', 'card'],
    ['maintenance', 'amber', 'alert'],
    ['anything:else', 'blue', 'bell'],
  ]
) {
  test(`${type} is ${color} with the icon ${icon}`, () => {
    const kind = kindOf(type);
    assert.deepEqual([kind.color, kind.icon], [color, icon]);
  });
}
