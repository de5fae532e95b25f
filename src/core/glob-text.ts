// Redis's glob patterns over text, for cold paths: configuration names, command names, file names.

/** @param pattern `*`, `?`, `[abc]`, `[^a-z]`, `\` escapes. Matching ignores case. */
export function globToRegExp(pattern: string): RegExp {
  let source = '';
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === '*') source += '[^]*';
    else if (char === '?') source += '[^]';
    else if (char === '[') {
      const [part, next] = characterClass(pattern, i + 1);
      source += part;
      i = next;
    } else if (char === '\\' && i + 1 < pattern.length) source += escaped(pattern[++i]);
    else source += escaped(char);
  }
  return new RegExp(`^${source}$`, 'i');
}

function characterClass(pattern: string, from: number): [source: string, last: number] {
  let i = from;
  const negated = pattern[i] === '^';
  if (negated) i++;
  let inside = '';
  for (; i < pattern.length && pattern[i] !== ']'; i++) {
    if (pattern[i] === '\\' && i + 1 < pattern.length) inside += escaped(pattern[++i]);
    else if (pattern[i + 1] === '-' && i + 2 < pattern.length) {
      const [low, high] = [pattern[i], pattern[i + 2]].sort();
      inside += `${escaped(low)}-${escaped(high)}`;
      i += 2;
    } else inside += escaped(pattern[i]);
  }
  if (inside === '') return [negated ? '[^]' : '[]', i];
  return [`[${negated ? '^' : ''}${inside}]`, i];
}

function escaped(char: string): string {
  return /[\\^$.*+?()[\]{}|/-]/.test(char) ? `\\${char}` : char;
}
