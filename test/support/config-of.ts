// A configuration from directives, as they stand in redis.conf.
import { type Config, createConfig, findDirective, setDirective } from '../../src/core/config.ts';

/** @throws Error for a value that the directive refuses. */
export function configOf(directives: Readonly<Record<string, string | number>>): Config {
  const config = createConfig();
  for (const [name, value] of Object.entries(directives)) setDirective(config, findDirective(name)!, [String(value)]);
  return config;
}
