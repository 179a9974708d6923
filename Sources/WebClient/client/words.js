// @ts-check
// The elements' texts: the language of each, its translations, and the numbers in it.

/** The strings of each language, by its tag. An element's own `strings` take precedence. */
const languages = new Map();

/**
 * Returns a language in the form that Intl accepts: `pt-BR` for `pt_BR` or `pt_BR.UTF-8`.
 *
 * Pages and systems also use names that are no language tags (`C`), for which Intl throws. Then the
 * result is undefined.
 */
const tagOf = (name) => {
  try {
    // guard: language-tag-form
    return Intl['getCanonicalLocales'](name.replace(/[.@].*/, '').replaceAll('_', '-'))[0];
  } catch {
    // guard: language-that-is-none
    return undefined;
  }
};

/** Returns the tag of the first name that is a language, else English. */
export const languageOf = (...names) => {
  for (const name of names) {
    const tag = name && tagOf(name);
    if (tag) return tag;
  }
  return 'en';
};

export const setStrings = (language, strings) => {
  const tag = tagOf(language) ?? language;
  languages.set(tag, { ...languages.get(tag), ...strings });
};

// guard: own-keys-only
/** Reads a key that may come from outside: the name of a type may be `constructor`. */
export const own = (table, key) => table && Object.hasOwn(table, key) ? table[key] : undefined;

/** Translates an English text and fills in the `{names}`. */
export const translate = (english, language, strings, values) => {
  let text = own(strings, english);
  for (let tag = language; text === undefined && tag; tag = tag.replace(/-?[^-]*$/, '')) {
    text = own(languages.get(tag), english);
  }
  // An English text has English numbers, also in a page in another language.
  // guard: english-text-english-numbers
  const numbers = text === undefined ? 'en' : language;
  return `${text ?? english}`.replace(
    /\{(\w+)\}/g,
    (name, key) => own(values, key)?.toLocaleString(numbers) ?? name,
  );
};
