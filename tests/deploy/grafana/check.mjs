// Checks a dashboard (JSON, on standard input) against Grafana's own types: of the dashboard, and of
// each panel's options and fields. An option that Grafana does not know is a complaint too.
import { readFileSync, writeFileSync } from 'node:fs';
import ts from 'typescript';

const dashboard = JSON.parse(readFileSync(0));

const head = `
import type * as g from '@grafana/schema';
import type * as d from '@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen';
import type * as canvas from '@grafana/schema/dist/esm/raw/composable/canvas/panelcfg/x/CanvasPanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as lines from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// As JSON has it: an enum's value instead of its name, null where a value may be left out.
type Plain<T> = T extends string ? \`\${T}\`
    : T extends (infer U)[] ? Plain<U>[]
    : T extends object ? { [K in keyof T]: Plain<T[K]> | (undefined extends T[K] ? null : never) } : T;

interface Query {
    datasource: d.DataSourceRef; refId: string; expr: string; legendFormat: string;
    instant: boolean; range: boolean; format: 'time_series' | 'table' | 'heatmap';
}
interface Of<Options, Custom> extends Omit<d.Panel, 'options' | 'fieldConfig' | 'targets'> {
    options: Options; targets: Query[];
    fieldConfig: Omit<d.FieldConfigSource, 'defaults'> & {
        defaults: Omit<d.FieldConfig, 'custom'> & { custom: Partial<Custom> } };
}
// The package has no types for what an element shows; these are those of its dimensions.
interface Element extends canvas.CanvasElementOptions {
    config: { align?: 'left' | 'center' | 'right'; valign?: 'top' | 'middle' | 'bottom'; size?: number;
              color?: Partial<g.ColorDimensionConfig>; text?: Partial<g.TextDimensionConfig> };
}
type Root = Omit<canvas.Options, 'root'> & { root: Omit<canvas.CanvasElementOptions, 'type'> &
    { type: 'frame'; elements: Element[] } };
// All that is left out has a default.
type Some<T> = T extends (infer U)[] ? Some<U>[] : T extends object ? { [K in keyof T]?: Some<T[K]> } : T;
interface Kinds {
    row: Plain<d.RowPanel>;
    timeseries: Plain<Of<Some<lines.Options>, lines.FieldConfig>>;
    table: Plain<Of<Some<table.Options>, Some<table.FieldConfig>>>;
    canvas: Plain<Of<Some<Root>, {}>>;
    alertlist: Plain<d.Panel>;
}
type Variable = Omit<d.VariableModel, 'query'> & { definition: string; query: { query: string; refId: string } };
type Whole = Plain<Omit<d.Dashboard, 'panels' | 'templating'> & { templating: { list: Variable[] } }>;
`;

const { panels, ...whole } = dashboard;
const complaints = [];
const lines = [head, `export const whole: Whole = ${JSON.stringify(whole)};`];
const names = new Map([[head.split('\n').length + 1, 'dashboard']]);
for (const panel of panels) {
  lines.push(`export const panel${panel.id}: Kinds['${panel.type}'] = ${JSON.stringify(panel)};`);
  names.set(lines.join('\n').split('\n').length, `${panel.type} "${panel.title}"`);
}

writeFileSync('dashboard.ts', lines.join('\n'));
const program = ts.createProgram(['dashboard.ts'], {
  noEmit: true, strict: true, skipLibCheck: true, types: [],
  module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
});
for (const found of ts.getPreEmitDiagnostics(program)) {
  const line = found.file ? found.file.getLineAndCharacterOfPosition(found.start).line + 1 : 0;
  complaints.push(`${names.get(line) ?? `${found.file?.fileName}:${line}`}: ` +
      ts.flattenDiagnosticMessageText(found.messageText, ' ').slice(0, 700));
}

for (const complaint of complaints)
  console.log(complaint);
console.log(`${panels.length} panels checked`);
process.exit(complaints.length ? 1 : 0);
