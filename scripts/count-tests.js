// Adds up what scripts/test.sh left in a folder: NAME.passed and NAME.failed for single steps, NAME.json for a
// vitest run, NAME.exit when that run's exit code was not 0. Names what failed and what was skipped, then prints the
// one line with the counts. Exit code 1 when anything failed.
// Tests with real peers wait for real time, and a busy machine can make them late: with --again it prints the few
// files that failed instead, to be run once more by themselves. What passes then (again.json) counts as passed, by name.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const SECOND_RUN = 'again.json';
const MOST_FILES_AGAIN = 5;

/** @param {string} folder @returns {{ passed: number, failed: string[], skipped: string[], second: string[] }} */
export function countTests(folder) {
  const all = readdirSync(folder).sort();
  const files = all.filter((file) => !file.startsWith('again.'));
  const outcome = { passed: 0, failed: [], skipped: [], second: [] };
  for (const file of files) {
    const name = file.replace(/\.[^.]*$/, '');
    if (file.endsWith('.passed')) outcome.passed++;
    if (file.endsWith('.failed')) outcome.failed.push(name);
    if (file.endsWith('.json')) {
      const before = outcome.failed.length;
      addRun(readRun(join(folder, file)), outcome);
      // An error outside every test: vitest says so by its exit code only.
      if (files.includes(`${name}.exit`) && outcome.failed.length === before)
        outcome.failed.push(`${name}: vitest failed`);
    }
    if (file.endsWith('.exit') && !files.includes(`${name}.json`))
      outcome.failed.push(`${name}: vitest did not finish`);
  }
  if (all.includes(SECOND_RUN)) forgive(readRun(join(folder, SECOND_RUN)), outcome);
  return outcome;
}

/** The test files that failed, when they are few and nothing but tests failed; otherwise none. */
export function filesToRunAgain(folder) {
  const files = new Set();
  for (const name of countTests(folder).failed) {
    const file = /^(\S+\.test\.ts): /.exec(name)?.[1];
    if (file === undefined) return [];
    files.add(file);
  }
  return files.size > MOST_FILES_AGAIN ? [] : [...files];
}

function readRun(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function forgive(run, outcome) {
  const passed = new Set();
  for (const file of run.testResults) {
    const path = relative(process.cwd(), file.name);
    for (const test of file.assertionResults) if (test.status === 'passed') passed.add(`${path}: ${test.fullName}`);
  }
  outcome.second = outcome.failed.filter((name) => passed.has(name));
  outcome.failed = outcome.failed.filter((name) => !passed.has(name));
  outcome.passed += outcome.second.length;
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
  const words = process.argv.slice(2);
  if (words[0] === '--again') {
    for (const file of filesToRunAgain(words[1])) console.log(file);
  } else {
    const { passed, failed, skipped, second } = countTests(words[0]);
    for (const name of failed) console.log(`FAILED: ${name}`);
    for (const name of second) console.log(`passed at the second try: ${name}`);
    for (const name of skipped) console.log(`skipped: ${name}`);
    console.log(`${passed} passed, ${failed.length} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`);
    process.exitCode = failed.length > 0 ? 1 : 0;
  }
}
