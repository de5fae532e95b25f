#!/usr/bin/env node
// The `wiredis-server` command, called as redis-server is: [redis.conf] [--directive value ...]. Reads the
// configuration, becomes a daemon if told so, and starts the server.
import { readFileSync } from 'node:fs';
import { createConfig } from '../core/config.ts';
import { argumentsToText, ConfigLoader } from '../core/config-file.ts';
import { REDIS_VERSION } from '../core/server.ts';
import { Taker } from '../handover/taker.ts';
import { packageVersion } from '../package-version.ts';
import type { RelayServer } from '../relay/relay-server.ts';
import { takeWorkerSeat, tellParent } from '../relay/worker-seat.ts';
import type { Workers } from '../relay/workers.ts';
import {
  absolutePath,
  isPersonsError,
  type RunningServer,
  refuseWorkers,
  type ServerSettings,
  startByMove,
  startInPlace,
  startRelay,
  startServer,
  startWorker,
  startWorkers,
} from '../server.ts';
import { becomeDaemon, daemonFailed, daemonReady, isDaemon } from './daemon.ts';
import { launchSuccessor } from './launch.ts';
import { endOnSignals, handleSignals, reportCrashes, surviveClosedOutput } from './process-events.ts';
import { HELP } from './server-help.ts';
import { prepareRelay, prepareService } from './service.ts';

const daemon = isDaemon();
const seat = takeWorkerSeat();
/** Another process's place is to be taken; null: this is a server's first process. */
let taker: Taker | null = null;
let running: RunningServer | RelayServer | Workers | null = null;

async function main(args: readonly string[]): Promise<void> {
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-v')) {
    process.stdout.write(`wiredis-server ${packageVersion()}, compatible with Redis ${REDIS_VERSION}\n`);
    return;
  }
  if (args.length === 1 && (args[0] === '--help' || args[0] === '-h')) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  taker = Taker.find(process.env);
  const { settings, input } = readSettings(args);
  if (seat !== null) return startWorker(settings, seat, runRelay);
  if (taker !== null) {
    // Who asks for the next one already must not end this one.
    process.on('SIGUSR2', () => {});
    await startInPlace(settings, taker, (created) => adopt(created, input, args));
    return;
  }
  if (settings.config.daemonize && !daemon) {
    const problem = await becomeDaemon(input);
    if (problem !== null) process.stderr.write(`${problem}\n`);
    process.exit(problem === null ? 0 : 1);
  }
  refuseWorkers(settings.config);
  if (settings.config.workers > 1) {
    const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    await startWorkers(settings, { command, input }, runRelay);
  } else if (settings.config.moveListen !== '') await startByMove(settings, (created) => adopt(created, input, args));
  else if (settings.config.core === 'relay') await startRelay(settings, undefined, runRelay);
  else await startServer(settings, undefined, (created) => adopt(created, input, args));
  daemonReady();
}

function runRelay(created: RelayServer | Workers): Promise<void> {
  running = created;
  created.onStopped = (failed) => process.exit(failed ? 1 : 0);
  endOnSignals(created);
  return prepareRelay(created);
}

/** The process around a server. @param input what standard input gave. */
function adopt(created: RunningServer, input: string, args: readonly string[]): Promise<void> {
  running = created;
  created.onStopped = () => process.exit(0);
  created.launch = (fds) => launchSuccessor(input, fds);
  created.onHandedOver = () => process.exit(0);
  handleSignals(created);
  return prepareService(created, () => readSettings(args).settings.config);
}

/** @throws ConfigFileError */
function readSettings(args: readonly string[]): { settings: ServerSettings; input: string } {
  const config = createConfig();
  const loader = new ConfigLoader(config, REDIS_VERSION);
  const words = [...args];
  const file = words.length > 0 && !words[0].startsWith('-') ? absolutePath(words.shift()!) : null;
  const fromInput = words[0] === '-' || words.at(-1) === '-';
  if (fromInput) words.splice(words[0] === '-' ? 0 : -1, 1);
  if (file !== null) loader.loadFile(file);
  const input = fromInput ? readFileSync(0, 'latin1') : '';
  loader.loadText(input, 'standard input');
  loader.loadText(argumentsToText(words), '');
  loader.finish();
  config.netdev = absolutePath(config.netdev);
  const { moduleSettings, renames, users } = loader;
  const settings = { config, renames, users, moduleSettings, unclaimed: (name: string) => loader.unclaimed(name) };
  return { settings: file === null ? settings : { ...settings, configFile: file }, input };
}

surviveClosedOutput();
reportCrashes(packageVersion(), () => running);
main(process.argv.slice(2)).catch((error: unknown) => {
  if (!isPersonsError(error)) throw error;
  if (seat !== null) return tellParent({ problem: error.message }, () => process.exit(1));
  taker?.report(error.message);
  // What is wrong with an interface is seldom all of it.
  const hint = error.name === 'EngineError' ? " ('wiredis doctor' looks for more)" : '';
  process.stderr.write(`${error.message}${hint}\n`);
  if (daemon) daemonFailed(error.message);
  else process.exit(1);
});
