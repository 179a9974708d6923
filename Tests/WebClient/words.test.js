// The elements' texts: names of languages as pages and systems write them, and translations.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { languageOf, own, setStrings, translate } from '../../Sources/WebClient/client/words.js';

describe('the language of an element', () => {
  for (
    const [name, tag] of [
      ['en-US', 'en-US'],
      ['en_US', 'en-US'],
      ['pt_BR', 'pt-BR'],
      ['PT-br', 'pt-BR'],
      ['zh_Hant_TW', 'zh-Hant-TW'],
      ['en-US@posix', 'en-US'],
      ['de_DE.UTF-8', 'de-DE'],
      ['C', 'fr'],
      ['C.UTF-8', 'fr'],
      ['', 'fr'],
      [undefined, 'fr'],
      ['not a language', 'fr'],
      ['constructor', 'fr'],
      ['__proto__', 'fr'],
      ['_', 'fr'],
    ]
  ) {
    test(`lang="${name}" is ${tag}`, () => {
      const found = languageOf(name, 'fr');
      assert.equal(found, tag);
      // None of these throw.
      new Intl.RelativeTimeFormat(found);
      (1).toLocaleString(found);
    });
  }

  test('it is English if no name is a language', () => {
    assert.equal(languageOf('C', undefined, 'en-US@@', '!'), 'en-US');
    assert.equal(languageOf('C', undefined), 'en');
  });
});

describe('translations', () => {
  test('names of languages need no exact form', () => {
    setStrings('pt_BR', { Dismiss: 'Dispensar' });
    assert.equal(translate('Dismiss', 'pt-BR'), 'Dispensar');
    setStrings('C', { Dismiss: 'never used' });
    setStrings('__proto__', { Dismiss: 'never used' });
    assert.equal(translate('Dismiss', 'en'), 'Dismiss');
  });

  test('a longer tag falls back to a shorter one', () => {
    setStrings('zh-Hant', { Dismiss: '關閉' });
    setStrings('zh', { Dismiss: '关闭', 'Clear all': '全部清除' });
    assert.equal(translate('Dismiss', 'zh-Hant-TW'), '關閉');
    assert.equal(translate('Clear all', 'zh-Hant-TW'), '全部清除');
    assert.equal(translate('Dismiss', 'zh-CN'), '关闭');
  });

  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf']) {
    test(`${name} is a text like any other`, () => {
      assert.equal(translate(name, 'en', {}, {}), name);
      assert.equal(translate(name, 'en'), name);
      const strings = JSON.parse(`{ "${name}": "translated" }`);
      assert.equal(translate(name, 'en', strings), 'translated');
      assert.equal(translate(`{${name}}`, 'en', {}, { n: 1 }), `{${name}}`);
      assert.equal(own({}, name), undefined);
    });
  }

  test('an English text has English numbers, a translated one those of its language', () => {
    setStrings('ar-EG', { '{n} unread': '{n} غير مقروءة' });
    assert.equal(translate('{n} more', 'ar-EG', undefined, { n: 1_204 }), '1,204 more');
    assert.equal(translate('{n} unread', 'ar-EG', undefined, { n: 3 }), '٣ غير مقروءة');
  });
});
