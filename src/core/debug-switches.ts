// What DEBUG can switch off or set for tests; the parts concerned read it. Anyone in src/ may import it.

export class DebugSwitches {
  /** DEBUG SET-ACTIVE-EXPIRE: whether the cron deletes expired keys. */
  activeExpire = true;
  /** DEBUG PAUSE-CRON: the work at intervals stands still. */
  pauseCron = false;
  /** DEBUG SET-SKIP-CHECKSUM-VALIDATION: dump files and payloads of RESTORE are taken whatever their checksum. */
  skipChecksum = false;
  /** DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may run commands that are closed to them. */
  scriptsRunAll = false;
  /** DEBUG AOF-FLUSH-SLEEP: microseconds to wait before each write to the append-only file. */
  aofFlushSleepUs = 0;
  /** DEBUG REPLYBUFFER RESIZING: whether reply buffers shrink and grow with use. */
  replyBufferResizing = true;
  /** DEBUG REPLYBUFFER PEAK-RESET-TIME: milliseconds between two resets of a reply buffer's peak; -1: never. */
  replyBufferPeakResetMs = 5000;
}
