// A server as a service: it tells the service manager when it is ready and when it stops (`supervised`), and once interface,
// ports and log are open it becomes an ordinary user without any capability (`user-after-open`). wiredis-server imports it.
import type { Account } from '../../io-engine/linux/privileges.ts';
import type { Config } from '../core/config.ts';
import { ServerStartError } from '../core/server.ts';
import type { Log } from '../platform/log.ts';
import type { RelayServer } from '../relay/relay-server.ts';
import type { Workers } from '../relay/workers.ts';
import type { RunningServer } from '../server.ts';
import { launchEnvironment } from './launch.ts';
import { Reloader } from './reload.ts';
import { isWritable } from './writable.ts';

/** Who watches over the process; the words of INFO's process_supervised. */
type Supervisor = 'no' | 'systemd' | 'upstart';

/**
 * To be called before anything is opened.
 * @param readConfig reads file and command line anew, for a reload. @throws ServerStartError
 */
export async function prepareService(running: RunningServer, readConfig: () => Config): Promise<void> {
  const { server } = running;
  const { userAfterOpen } = server.config;
  running.onTitle = (title) => {
    process.title = title;
  };
  if (userAfterOpen !== '') running.onOpened = privilegeDrop(server, await findUser(userAfterOpen));
  await superviseWith(running, supervisorOf(server.config, process.env), readConfig);
}

/** `auto` looks for what either of them leaves in the environment. */
export function supervisorOf({ supervised }: Pick<Config, 'supervised'>, env: NodeJS.ProcessEnv): Supervisor {
  const found = env.NOTIFY_SOCKET !== undefined ? 'systemd' : env.UPSTART_JOB !== undefined ? 'upstart' : 'no';
  if (supervised === 'auto') return found;
  return supervised === found ? found : 'no';
}

async function superviseWith(running: RunningServer, supervisor: Supervisor, readConfig: () => Config): Promise<void> {
  const { server } = running;
  if (server.config.supervised !== 'no' && supervisor === 'no') {
    server.log.warning(`supervised by ${server.config.supervised} requested, but its environment variable is not set`);
  }
  server.supervisedBy = supervisor;
  if (supervisor === 'upstart') {
    delete process.env.UPSTART_JOB;
    // `expect stop`: upstart lets it go on.
    running.onReady = () => process.kill(process.pid, 'SIGSTOP');
  }
  if (supervisor !== 'systemd') return;
  const address = process.env.NOTIFY_SOCKET ?? '';
  delete process.env.NOTIFY_SOCKET;
  launchEnvironment.NOTIFY_SOCKET = address;
  const { notifyService } = await import('../../io-engine/linux/service-notify.ts');
  const notify = (text: string): void => {
    if (!notifyService(address, text)) server.log.warning(`Can't tell systemd through ${address}`);
  };
  const reloader = new Reloader(server, readConfig);
  process.on('SIGHUP', () => reloader.reload());
  notify('STATUS=Loading server state\n');
  running.onReady = () => notify('STATUS=Ready to accept connections\nREADY=1\n');
  const { onHandedOver } = running;
  running.onHandedOver = (pid) => {
    // While it is this process that systemd listens to.
    notify(pid === 0 ? 'STATUS=Moved to another host\nSTOPPING=1\n' : `MAINPID=${pid}\n`);
    onHandedOver(pid);
  };
  running.companions.push({ close: () => notify('STATUS=Shutting down\nSTOPPING=1\n') });
}

/**
 * For a relay, before it starts: the Redis server that it starts is that user's too. The parent of several stays what it
 * is, to open the interface again. @throws ServerStartError
 */
export async function prepareRelay(relay: RelayServer | Workers): Promise<void> {
  const { userAfterOpen } = relay.config;
  if (userAfterOpen === '') return;
  const user = await findUser(userAfterOpen);
  relay.runChildAs(user.account);
  if ('onOpened' in relay) relay.onOpened = privilegeDrop(relay, user);
}

interface User {
  readonly account: Account;
  /** Becomes it. @throws Error */
  become(): void;
}

/** @throws ServerStartError now, rather than when the interface is open. */
async function findUser(name: string): Promise<User> {
  const { becomeAccount, findAccount } = await import('../../io-engine/linux/privileges.ts');
  const account = findAccount(name);
  if (account === null) {
    throw new ServerStartError(`user-after-open: there is no user '${name}': make it with 'useradd --system ${name}'`);
  }
  return { account, become: () => becomeAccount(account) };
}

/** What drops them. */
function privilegeDrop({ log, config }: { readonly log: Log; readonly config: Config }, user: User): () => void {
  const { name } = user.account;
  return () => {
    try {
      user.become();
    } catch (error) {
      throw new ServerStartError(`user-after-open ${name}: ${(error as Error).message}`);
    }
    log.notice(`Interface and ports are open: going on as user ${name}, without capabilities`);
    for (const path of [config.dir, config.logfile].filter((one) => one !== '')) {
      if (!isWritable(path)) log.warning(`User ${name} cannot write to ${path}: 'chown ${name} ${path}' mends it`);
    }
  };
}
