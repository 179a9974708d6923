// @ts-check

/**
 * Reads server-sent events from chunks of bytes: HTML Standard, section 9.2.6.
 *
 * Returns a function that takes the next chunk, which may end anywhere, and passes each completed
 * event to `dispatch` as `{ data, id }`. A block without data, such as a comment or a `retry`, is
 * no event. Events of a named type have another meaning, so they are not passed on.
 */
export const eventReader = (dispatch) => {
  // It keeps the bytes of an incomplete character, and drops a byte order mark.
  const decoder = new TextDecoder();
  let rest = '';
  let isAfterReturn = false;
  let id = '';
  let data, type;

  const take = (line) => {
    if (!line) {
      if (data && (type ?? 'message') === 'message') dispatch({ data: data.join('\n'), id });
      data = type = undefined;
      return;
    }
    const [, field, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
    if (field === 'data') (data ??= []).push(value);
    else if (field === 'event') type = value || undefined;
    else if (field === 'id' && !value.includes('\0')) id = value;
  };

  return (chunk) => {
    let text = decoder.decode(chunk, { stream: true });
    if (!text) return;
    // The line that ended with the last chunk's return may end with this chunk's line feed.
    if (isAfterReturn && text[0] === '\n') text = text.slice(1);
    isAfterReturn = text.endsWith('\r');
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop() ?? '';
    lines.forEach(take);
  };
};
