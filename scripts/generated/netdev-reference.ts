// Makes docs/netdev-conf.md from the table that the parser of netdev.conf works with. 'npm run generate' runs it; a test
// keeps the file current.
import { KEY_NAMES, KEYS, type Key } from '../../stack/config-schema.ts';

export function netdevReference(): string {
  const groups = new Map<string, string[]>();
  for (const name of KEY_NAMES) {
    const key = KEYS[name] as Key<unknown>;
    const sections = groups.get(key.group) ?? [];
    sections.push(section(name, key));
    groups.set(key.group, sections);
  }
  const parts = [...groups].map(([title, sections]) => `## ${title}\n\n${sections.join('\n\n')}`);
  return `# netdev.conf

Made from \`stack/config-schema.ts\` by \`npm run generate\`; do not edit.

One \`key = value\` a line; \`#\` starts a comment. Unknown keys and bad values are refused, with file and line. Times need a
unit (us, ms, s, min, h). \`wiredis-server --netdev FILE\` names the file; the one in this repository shows every key.

${parts.join('\n\n')}
`;
}

function section(name: string, key: Key<unknown>): string {
  const value = key.default === null ? 'required' : key.default === '' ? 'none' : `\`${key.default}\``;
  const facts = [`Default: ${value}`, `Allowed: ${key.allowed}`];
  if (key.repeatable === true) facts.push('May be repeated');
  if (key.example !== undefined) facts.push(`Example: \`${name} = ${key.example}\``);
  return `### ${name}\n\n${key.description}\n\n${facts.map((fact) => `- ${fact}`).join('\n')}`;
}
