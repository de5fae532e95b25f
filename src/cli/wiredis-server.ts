#!/usr/bin/env node
// The `wiredis-server` command, called as redis-server is: [redis.conf] [--directive value ...]. Reads the
// configuration, starts the server, and turns signals into shutdowns.
import { readFileSync } from 'node:fs';
import { createConfig } from '../core/config.ts';
import { argumentsToText, ConfigLoader } from '../core/config-file.ts';
import { REDIS_VERSION, type ShutdownRequest } from '../core/server.ts';
import { absolutePath, isPersonsError, type RunningServer, type ServerSettings, startServer } from '../server.ts';

const HELP = `Usage: wiredis-server [FILE] [-] [--DIRECTIVE VALUE ...]

  FILE                   configuration file, as redis-server reads it
  -                      more configuration from standard input
  --DIRECTIVE VALUE ...  any directive of the configuration file; wins over the file

  --transport userspace|kernel   our own TCP/IP stack on a dedicated interface, or the kernel's sockets
  --netdev FILE                  which interface, with which address (user-space transport)
  --engine auto|afxdp|afpacket|pcap|tap|raw   how frames are read and written

  wiredis-server --version
  wiredis-server --help

Examples:
  wiredis-server --transport kernel --port 7777
  wiredis-server /etc/redis.conf --netdev /etc/netdev.conf --loglevel verbose`;

async function main(args: readonly string[]): Promise<void> {
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-v')) {
    process.stdout.write(`wiredis-server ${packageVersion()}, compatible with Redis ${REDIS_VERSION}\n`);
    return;
  }
  if (args.length === 1 && (args[0] === '--help' || args[0] === '-h')) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  const running = await startServer(readSettings(args));
  running.onStopped = () => process.exit(0);
  handleSignals(running);
}

function packageVersion(): string {
  // From dist/src/cli as well as from src/cli.
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const parsed = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { version?: string };
      return parsed.version ?? '';
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
  return '';
}

/** @throws ConfigFileError */
function readSettings(args: readonly string[]): ServerSettings {
  const config = createConfig();
  const loader = new ConfigLoader(config, REDIS_VERSION);
  const words = [...args];
  const file = words.length > 0 && !words[0].startsWith('-') ? absolutePath(words.shift()!) : null;
  const fromInput = words[0] === '-' || words.at(-1) === '-';
  if (fromInput) words.splice(words[0] === '-' ? 0 : -1, 1);
  if (file !== null) loader.loadFile(file);
  if (fromInput) loader.loadText(readFileSync(0, 'latin1'), 'standard input');
  loader.loadText(argumentsToText(words), '');
  config.netdev = absolutePath(config.netdev);
  if (config.pidfile !== '') config.pidfile = absolutePath(config.pidfile);
  return file === null ? { config, renames: loader.renames } : { config, renames: loader.renames, configFile: file };
}

function handleSignals(running: RunningServer): void {
  const { config, log } = running.server;
  let interrupted = false;
  process.on('SIGTERM', () => {
    log.warning('Received SIGTERM scheduling shutdown...');
    running.shutdown(signalRequest(config.shutdownOnSigterm));
  });
  process.on('SIGINT', () => {
    if (interrupted) {
      log.warning('You insist... exiting now.');
      process.exit(1);
    }
    interrupted = true;
    log.warning('Received SIGINT scheduling shutdown...');
    running.shutdown(signalRequest(config.shutdownOnSigint));
  });
}

function signalRequest(flags: readonly string[]): ShutdownRequest {
  return {
    save: flags.includes('save') ? 'save' : flags.includes('nosave') ? 'nosave' : 'default',
    now: flags.includes('now'),
    force: flags.includes('force'),
  };
}

main(process.argv.slice(2)).catch((error: unknown) => {
  if (!isPersonsError(error)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
