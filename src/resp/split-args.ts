// Splits a line into words with the quoting rules of redis.conf and inline commands: "..." knows \n \r \t \b \a \\ \"
// and \xHH, '...' knows \', words end at white space. Works on Latin-1 strings (one character a byte), on cold paths only.

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' };
const SPACE = /[ \t\n\v\f\r\0]/;
const HEX_PAIR = /^[0-9a-fA-F]{2}$/;

/** @returns the words, or null when quotes are unbalanced or a closing quote is followed by something else. */
export function splitArgs(line: string): string[] | null {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && SPACE.test(line[at])) at++;
    if (at >= line.length) return words;
    let word = '';
    while (at < line.length && !SPACE.test(line[at])) {
      const quote = line[at];
      if (quote !== '"' && quote !== "'") {
        word += quote;
        at++;
        continue;
      }
      const end = closingQuote(line, at);
      if (end < 0) return null;
      word += quote === '"' ? unescapeDouble(line.slice(at + 1, end)) : line.slice(at + 1, end).replaceAll("\\'", "'");
      at = end + 1;
      if (at < line.length && !SPACE.test(line[at])) return null;
    }
    words.push(word);
  }
}

/** Index of the quote that closes the one at `open`; -1: there is none. */
function closingQuote(line: string, open: number): number {
  const quote = line[open];
  for (let at = open + 1; at < line.length; at++) {
    if (line[at] === quote) return at;
    const escapes = quote === '"' ? at + 1 < line.length : line[at + 1] === "'";
    if (line[at] === '\\' && escapes) at++;
  }
  return -1;
}

function unescapeDouble(text: string): string {
  let result = '';
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== '\\' || at + 1 >= text.length) {
      result += text[at];
      continue;
    }
    const hex = text.slice(at + 2, at + 4);
    if (text[at + 1] === 'x' && HEX_PAIR.test(hex)) {
      result += String.fromCharCode(Number.parseInt(hex, 16));
      at += 3;
    } else {
      at++;
      result += ESCAPES[text[at]] ?? text[at];
    }
  }
  return result;
}

/** The word as redis.conf needs it: quoted when it holds a space, a quote or an unprintable byte. */
export function quoteArg(word: string): string {
  return word !== '' && /^[!#-&(-[\]-~]*$/.test(word) ? word : quoted(word);
}

/** The word in double quotes, with escapes for what cannot be printed. */
export function quoted(word: string): string {
  let result = '"';
  for (const char of word) {
    const code = char.charCodeAt(0);
    const name = Object.keys(ESCAPES).find((key) => ESCAPES[key] === char);
    if (char === '"' || char === '\\') result += `\\${char}`;
    else if (name !== undefined) result += `\\${name}`;
    else if (code >= 32 && code < 127) result += char;
    else result += `\\x${code.toString(16).padStart(2, '0')}`;
  }
  return `${result}"`;
}
