/**
 * A reporter for Jest that writes one JSON object per line to the file that MILTER_TEST_RECORDS names, for
 * scripts/runner/test-files.mjs to count: `start` and `done` while a test runs, `pass`, `fail` and `skip` for each test,
 * `fail` for what went wrong beside them, `addon` if it was loaded into the process, and `end`. It writes at once, so that
 * the file tells which test was running when the process crashed.
 */
import fs from 'node:fs';

const nameOf = ({ ancestorTitles, title }) => [...ancestorTitles, title].join(' > ');

/** Whether the addon is loaded here; where there is no /proc, it is not known. */
function hasAddon() {
  const maps = '/proc/self/maps';
  return fs.existsSync(maps) && fs.readFileSync(maps, 'utf8').includes('/tsmilter.node');
}

export default class Reporter {
  #records = fs.openSync(process.env.MILTER_TEST_RECORDS, 'a');

  onTestCaseStart(_test, info) {
    this.#write({ type: 'start', name: nameOf(info) });
  }

  onTestCaseResult(_test, result) {
    this.#write({ type: 'done', name: nameOf(result) });
  }

  onTestFileResult(_test, { testResults, testExecError, failureMessage }) {
    for (const result of testResults) {
      const name = nameOf(result);
      if (result.status === 'passed') this.#write({ type: 'pass', name });
      else if (result.status === 'failed')
        this.#write({ type: 'fail', name, error: result.failureMessages.join('\n') });
      else this.#write({ type: 'skip', name });
    }
    if (testExecError) {
      const error = testExecError.stack || failureMessage || '';
      this.#write({ type: 'fail', name: 'outside its tests', error });
    }
  }

  onRunComplete() {
    if (hasAddon()) this.#write({ type: 'addon' });
    this.#write({ type: 'end' });
  }

  #write(record) {
    fs.writeSync(this.#records, `${JSON.stringify(record)}\n`);
  }
}
