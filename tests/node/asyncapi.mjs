// Validates an AsyncAPI document from stdin with the official parser; prints what is wrong with it.
import { readFileSync } from 'node:fs';
import asyncapi from '@asyncapi/parser';

const { document, diagnostics } = await new asyncapi.Parser().parse(readFileSync(0, 'utf8'));
const ERROR = 0;
for (const { severity, message, path } of diagnostics) {
  if (severity === ERROR || !document) console.log(`${path.join('.')}: ${message}`);
}
process.exitCode = document ? 0 : 1;
if (document) console.log(document.messages().length);
