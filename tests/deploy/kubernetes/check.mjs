// Checks objects (JSON, on standard input) against the API's schemas, as a server would: values by
// JSON schema, and keys that the API does not know by type (a schema alone lets them pass).
import { readFileSync, writeFileSync } from 'node:fs';
import ts from 'typescript';

const objects = JSON.parse(readFileSync(0));
const complaints = [];
const lines = [];

for (const [i, object] of objects.entries()) {
  const name = `${object.kind}/${object.metadata.name}`;
  // Base64 may be folded; the schema's format does not allow that.
  for (const key of Object.keys((object.kind === 'Secret' && object.data) || {}))
    object.data[key] = object.data[key].replace(/\s/g, '');
  const kinds = await import(`kubernetes-models/${object.apiVersion}`);
  if (!kinds[object.kind]) {
    complaints.push(`${name}: ${object.apiVersion} has no ${object.kind}`);
    continue;
  }
  try {
    new kinds[object.kind](object).validate();
  } catch (error) {
    complaints.push(`${name}: ${error.message}`);
  }
  lines.push(`import type { I${object.kind} as Kind${i} } from 'kubernetes-models/${object.apiVersion}';`,
             `export const object${i}: Kind${i} = ${JSON.stringify(object)};`);
}

writeFileSync('objects.ts', lines.join('\n'));
const program = ts.createProgram(['objects.ts'], {
  noEmit: true, strict: true, skipLibCheck: true, types: [],
  module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
});
for (const found of ts.getPreEmitDiagnostics(program))
  complaints.push(ts.flattenDiagnosticMessageText(found.messageText, ' ').slice(0, 400));

for (const complaint of complaints)
  console.log(complaint);
console.log(`${objects.length} objects checked`);
process.exit(complaints.length ? 1 : 0);
