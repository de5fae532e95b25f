// What `ps` shows of the server, from `proc-title-template`. server.ts sets it.

export interface TitleFacts {
  readonly title: string;
  readonly 'listen-addr': string;
  readonly 'server-mode': string;
  readonly port: number;
  readonly 'tls-port': number;
  readonly unixsocket: string;
  readonly 'config-file': string;
}

const VARIABLES: readonly string[] = [
  ...['title', 'listen-addr', 'server-mode', 'port', 'tls-port', 'unixsocket', 'config-file'],
];

/** @returns what is wrong with a template, or null. */
export function titleProblem(template: string): string | null {
  const unknown = template.replace(/\{([^{}]*)\}/g, (all, name: string) => (VARIABLES.includes(name) ? '' : all));
  return template.trim() === '' || /[{}]/.test(unknown)
    ? 'template format is invalid or contains unknown variables'
    : null;
}

export function processTitle(template: string, facts: TitleFacts): string {
  return template.replace(/\{([^{}]*)\}/g, (_, name: keyof TitleFacts) => String(facts[name])).trimEnd();
}
