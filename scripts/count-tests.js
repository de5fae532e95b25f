// Adds up what scripts/test.sh left in a folder: NAME.passed and NAME.failed for single steps, NAME.json for a
// vitest run, NAME.exit when that run's exit code was not 0. Names what failed and what was skipped, then prints the
// one line with the counts. Exit code 1 when anything failed.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** @param {string} folder @returns {{ passed: number, failed: string[], skipped: string[] }} */
export function countTests(folder) {
  const files = readdirSync(folder).sort();
  const outcome = { passed: 0, failed: [], skipped: [] };
  for (const file of files) {
    const name = file.replace(/\.[^.]*$/, '');
    if (file.endsWith('.passed')) outcome.passed++;
    if (file.endsWith('.failed')) outcome.failed.push(name);
    if (file.endsWith('.json')) {
      const before = outcome.failed.length;
      addRun(JSON.parse(readFileSync(join(folder, file), 'utf8')), outcome);
      // An error outside every test: vitest says so by its exit code only.
      if (files.includes(`${name}.exit`) && outcome.failed.length === before)
        outcome.failed.push(`${name}: vitest failed`);
    }
    if (file.endsWith('.exit') && !files.includes(`${name}.json`))
      outcome.failed.push(`${name}: vitest did not finish`);
  }
  return outcome;
}

function addRun(run, outcome) {
  for (const file of run.testResults) {
    const path = relative(process.cwd(), file.name);
    for (const test of file.assertionResults) {
      if (test.status === 'passed') outcome.passed++;
      else if (test.status === 'failed') outcome.failed.push(`${path}: ${test.fullName}`);
      else outcome.skipped.push(`${path}: ${test.fullName}`);
    }
    // A file that cannot be loaded has no tests to fail.
    if (file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed')) {
      outcome.failed.push(`${path}: ${String(file.message).split('\n', 1)[0] || 'could not be run'}`);
    }
  }
}

if (process.argv[1]?.endsWith('count-tests.js')) {
  const { passed, failed, skipped } = countTests(process.argv[2]);
  for (const name of failed) console.log(`FAILED: ${name}`);
  for (const name of skipped) console.log(`skipped: ${name}`);
  console.log(`${passed} passed, ${failed.length} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}
