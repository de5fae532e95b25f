// CLIENT TRACKING, TRACKINGINFO, CACHING and GETREDIR. Only client-commands.ts imports this file.
import type { Call } from '../core/call.ts';
import type { ClientTracking } from '../core/tracking.ts';

interface Words {
  bcast: boolean;
  optin: boolean;
  optout: boolean;
  noloop: boolean;
  redirect: number;
  prefixes: string[];
}

/** @returns null after an error reply. */
function readWords(call: Call): Words | null {
  const { reply, server } = call;
  const words: Words = { bcast: false, optin: false, optout: false, noloop: false, redirect: 0, prefixes: [] };
  for (let i = 3; i < call.argc; i++) {
    const more = i + 1 < call.argc;
    if (call.is(i, 'redirect') && more) {
      if (words.redirect !== 0) {
        reply.error('ERR A client can only redirect to a single other client');
        return null;
      }
      words.redirect = call.integer(++i);
      if (Number.isNaN(words.redirect)) return null;
      if (!server.clients.has(words.redirect)) {
        reply.error('ERR The client ID you want redirect to does not exist');
        return null;
      }
    } else if (call.is(i, 'prefix') && more) words.prefixes.push(call.latin1(++i));
    else if (call.is(i, 'bcast')) words.bcast = true;
    else if (call.is(i, 'optin')) words.optin = true;
    else if (call.is(i, 'optout')) words.optout = true;
    else if (call.is(i, 'noloop')) words.noloop = true;
    else {
      call.syntaxError();
      return null;
    }
  }
  return words;
}

/** What is wrong with these options for a client in this state, or null. */
function conflict(words: Words, now: ClientTracking | null): string | null {
  if (!words.bcast && words.prefixes.length > 0) return 'ERR PREFIX option requires BCAST mode to be enabled';
  if (now !== null && now.options.bcast !== words.bcast) {
    return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.";
  }
  if (words.bcast && (words.optin || words.optout)) return 'ERR OPTIN and OPTOUT are not compatible with BCAST';
  if (words.optin && words.optout) return "ERR You can't specify both OPTIN mode and OPTOUT mode";
  if (now !== null && ((words.optin && now.options.optout) || (words.optout && now.options.optin))) {
    return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.";
  }
  return words.bcast ? overlap(words.prefixes, now) : null;
}

function overlap(prefixes: readonly string[], now: ClientTracking | null): string | null {
  const overlaps = (a: string, b: string): boolean => a.startsWith(b) || b.startsWith(a);
  const suffix = 'Prefixes for a single client must not overlap.';
  for (const [i, prefix] of prefixes.entries()) {
    const known = [...(now?.prefixes ?? [])].sort().find((other) => overlaps(prefix, other));
    if (known !== undefined) return `ERR Prefix '${prefix}' overlaps with an existing prefix '${known}'. ${suffix}`;
    const other = prefixes.slice(i + 1).find((later) => overlaps(prefix, later));
    if (other !== undefined) {
      return `ERR Prefix '${prefix}' overlaps with another provided prefix '${other}'. ${suffix}`;
    }
  }
  return null;
}

export function clientTracking(call: Call): void {
  const { client, reply, server } = call;
  const words = readWords(call);
  if (words === null) return;
  if (call.is(2, 'on')) {
    const problem = conflict(words, client.tracking);
    if (problem !== null) {
      reply.error(problem);
      return;
    }
    server.tracking.enable(client, words, words.prefixes);
  } else if (call.is(2, 'off')) server.tracking.disable(client);
  else {
    call.syntaxError();
    return;
  }
  reply.ok();
}

export function clientCaching(call: Call): void {
  const { reply } = call;
  const { tracking } = call.client;
  if (tracking === null) {
    reply.error(
      'ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled',
    );
    return;
  }
  const yes = call.is(2, 'yes');
  if (!yes && !call.is(2, 'no')) {
    call.syntaxError();
    return;
  }
  if (yes && !tracking.options.optin) {
    reply.error('ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.');
  } else if (!yes && !tracking.options.optout) {
    reply.error('ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.');
  } else {
    tracking.caching = true;
    reply.ok();
  }
}

export function clientGetRedir(call: Call): void {
  call.reply.integer(call.client.tracking?.options.redirect ?? -1);
}

function flagsOf(tracking: ClientTracking | null): string[] {
  if (tracking === null) return ['off'];
  const { options } = tracking;
  const flags = ['on'];
  if (options.bcast) flags.push('bcast');
  if (options.optin) flags.push('optin');
  if (options.optin && tracking.caching) flags.push('caching-yes');
  if (options.optout) flags.push('optout');
  if (options.optout && tracking.caching) flags.push('caching-no');
  if (options.noloop) flags.push('noloop');
  if (tracking.brokenRedirect) flags.push('broken_redirect');
  return flags;
}

export function clientTrackingInfo(call: Call): void {
  const { reply } = call;
  const { tracking } = call.client;
  const flags = flagsOf(tracking);
  reply.map(3);
  reply.bulkLatin1('flags');
  reply.set(flags.length);
  for (const flag of flags) reply.bulkLatin1(flag);
  reply.bulkLatin1('redirect');
  reply.integer(tracking?.options.redirect ?? -1);
  reply.bulkLatin1('prefixes');
  const prefixes = [...(tracking?.prefixes ?? [])].sort();
  reply.array(prefixes.length);
  for (const prefix of prefixes) reply.bulkLatin1(prefix);
}
