// Validates manifests of the Prometheus Operator, a JSON array on standard input, against its published types.
import * as operator from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';

let text = '';
for await (const chunk of process.stdin) text += chunk;
for (const manifest of JSON.parse(text)) {
  const Kind = operator[manifest.kind];
  if (Kind === undefined) throw new Error(`the operator knows no ${manifest.kind}`);
  new Kind(manifest).validate();
}
