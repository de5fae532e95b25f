// Goes on with a device that another process has opened and handed over: its descriptors came with the start of this
// process, its rings are mapped here once more. No frame is lost in between, and no privilege is needed.
// src/transports/userspace-open.ts imports it.
import { adoptAfPacket } from './af-packet.ts';
import { adoptAfXdp } from './af-xdp.ts';
import { EngineError, type FrameEngine, type HandedEngine } from './frame-engine.ts';
import { closeOnExec } from './linux/libc.ts';
import type { EngineOptions } from './options.ts';

/**
 * @param handed what `handOver` described, its descriptors replaced by those that this process has.
 * @throws EngineError when the device is not what the options ask for.
 */
export function adoptEngine(handed: HandedEngine, options: EngineOptions): FrameEngine {
  if (handed.interface !== options.interface) {
    throw new EngineError(
      'NOT_SUPPORTED',
      `the interface is ${options.interface} now and was ${handed.interface}: that takes a restart`,
    );
  }
  for (const fd of handed.fds) closeOnExec(fd);
  if (handed.name === 'afxdp') return adoptAfXdp(handed, options);
  if (handed.name === 'afpacket') return adoptAfPacket(handed, options);
  throw new EngineError('NOT_SUPPORTED', `engine ${handed.name} cannot be handed over: afxdp and afpacket can`);
}
