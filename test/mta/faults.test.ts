/** Named faults: what breaks, and what an SMTP client behind Sendmail and Postfix is told meanwhile and afterwards. */
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { filterFaults } from './faults/filter-faults';
import { FaultLab } from './faults/lab';
import { loadFaults } from './faults/load-faults';
import { hangsUp, hangUpSteps, stopsReading } from './faults/mta-faults';
import { storeFaults } from './faults/store-faults';
import { kinds } from './support/mta-fixture';

let lab: FaultLab;
beforeAll(async () => {
  lab = await FaultLab.start();
});
afterAll(() => lab?.stop());

for (const kind of kinds) {
  describe(kind, () => {
    for (const fault of [...filterFaults, ...storeFaults]) test(fault.name, () => lab.run(kind, fault));

    for (const step of hangUpSteps) test(`the MTA is killed in ${step}`, () => hangsUp(lab, kind, step));

    test('the MTA stops reading a large change', () => stopsReading(lab, kind));

    for (const fault of loadFaults) test(fault.name, () => fault.run(lab, kind));
  });
}
