/** Metrics in the text format of Prometheus, by prom-client. */
import type { Registry } from 'prom-client';
import { loadPackage } from '../internal/stores/packages.js';
import { FAMILIES, FAMILY_NAMES, type Family, type FamilyName } from './families.js';
import type { SeriesValue, Snapshot } from './series.js';

/** The package. */
export type PromClient = typeof import('prom-client');
/** What a registry reads of a metric. */
type MetricText = Awaited<ReturnType<Registry['getMetricsAsJSON']>>[number];

/** @throws MilterError ERR_MILTER_MISSING_PACKAGE */
export function loadPromClient(): PromClient {
  return loadPackage('prom-client', 'runmilter: metrics', () => require('prom-client') as PromClient);
}

export class Exposition {
  readonly #registry: Registry;
  #snapshot: Snapshot = {};

  constructor({ Registry: PromRegistry, collectDefaultMetrics }: PromClient) {
    this.#registry = new PromRegistry();
    collectDefaultMetrics({ register: this.#registry });
    // The values come from several threads, so that the registry gets metrics that are read, not ones that are counted in.
    for (const name of FAMILY_NAMES) {
      const metric = { name, get: () => this.#metric(name) };
      this.#registry.registerMetric(metric as unknown as Parameters<Registry['registerMetric']>[0]);
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics of the process, with these values of the filter's own. */
  text(snapshot: Snapshot): Promise<string> {
    this.#snapshot = snapshot;
    return this.#registry.metrics();
  }

  #metric(name: FamilyName): MetricText {
    const { type, help, bounds }: Family = FAMILIES[name];
    const series = this.#snapshot[name] ?? [];
    const values = bounds
      ? series.flatMap((one) => histogramValues(name, bounds, one))
      : series.map(({ labels, value }) => ({ labels, value }));
    return { name, help, type, values, aggregator: 'sum' } as unknown as MetricText;
  }
}

/** The cumulated buckets, the sum and the count of a histogram. */
function histogramValues(
  name: string,
  bounds: readonly number[],
  { labels, value, counts = [] }: SeriesValue,
) {
  let sum = 0;
  const buckets = [...bounds, '+Inf'].map((le, bucket) => {
    sum += counts[bucket] ?? 0;
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: sum };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value },
    { metricName: `${name}_count`, labels, value: sum },
  ];
}
