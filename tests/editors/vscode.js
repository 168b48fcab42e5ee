// The VS Code extension against a stand-in for the editor's interface: diagnostics, hover, completion and definition come through. And the
// grammar: every pattern is a regular expression that matches what it should of a few lines.
'use strict';
const [folder, gmlpc] = process.argv.slice(2);
const assert = require('assert');
const fs = require('fs');
const Module = require('module');
const path = require('path');

const made = name => class { constructor(...parts) { this.made = name; this.parts = parts; } };
const providers = {}, events = {}, shown = new Map();
const languages = new Proxy({}, { get: (_, name) => (selector, provider) => {
  if (name === 'createDiagnosticCollection') return { set: (uri, list) => { shown.set(uri.text, list); if (events.shown) events.shown(list); } };
  providers[name] = provider;
  return {};
} });
const workspace = new Proxy({ textDocuments: [], getConfiguration: () => ({ get: () => gmlpc }) }, { get: (base, name) => base[name] || (run => { events[name] = run; return {}; }) });
const vscode = new Proxy({ languages, workspace, window: {}, Uri: { parse: text => ({ text, toString: () => text }) } }, { get: (base, name) => base[name] || (base[name] = made(name)) });
const load = Module._load;
Module._load = (name, ...rest) => (name === 'vscode' ? vscode : load(name, ...rest));

const read = name => JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8'));
const manifest = read('package.json');
for (const file of [manifest.main, manifest.contributes.languages[0].configuration, manifest.contributes.grammars[0].path]) assert(fs.existsSync(path.join(folder, file)), file);
read('language-configuration.json');

function scopes(line) { // of each word of a line, by the first pattern that matches where none did before
  const patterns = read('syntaxes/gm.tmLanguage.json').patterns, found = {};
  for (let at = 0; at < line.length;) {
    let best;
    for (const pattern of patterns) {
      const match = new RegExp(pattern.match || pattern.begin, 'g');
      match.lastIndex = at;
      const result = match.exec(line);
      if (result && result[0] && (!best || result.index < best.result.index)) best = { pattern, result };
    }
    if (!best) break;
    at = best.result.index + best.result[0].length;
    if (best.pattern.name) found[best.result[0]] = best.pattern.name;
    for (const k of Object.keys(best.pattern.captures || {})) if (best.result[k]) found[best.result[k]] = best.pattern.captures[k].name;
  }
  return found;
}
const line = scopes('param proj.weight[N] ~ normal(0, 1e-6)  # c');
assert.strictEqual(line.param, 'storage.type.gm');
assert.strictEqual(line['proj.weight'], 'variable.other.gm');
assert.strictEqual(line.normal, 'support.function.initialiser.gm');
assert.strictEqual(line['1e-6'], 'constant.numeric.gm');
assert.strictEqual(line['# c'], 'comment.line.number-sign.gm');
assert.strictEqual(scopes('block f(x: i32[N])').f, 'entity.name.function.gm');
assert.strictEqual(scopes('max[j](x)').max, 'support.function.reduction.gm');
assert.strictEqual(scopes('return y @ output.dense')['@ output.dense'], 'entity.name.tag.path.gm');

const text = 'import "norms.gm"\nmodel m(N = 3) {\n  input x[N]\n  output y = layernorn(x) @ norm\n}\n';
const document = { languageId: 'gm', version: 1, uri: vscode.Uri.parse('file:///nowhere/a.gm'), getText: () => text };
const diagnostics = () => new Promise(done => { events.shown = done; });
async function session() {
  const extension = require(path.resolve(folder, manifest.main));
  extension.activate({ subscriptions: [] });
  let next = diagnostics();
  events.onDidOpenTextDocument(document);
  let list = await next;
  assert.strictEqual(list.length, 1);
  assert.strictEqual(list[0].code, 'GM021');
  next = diagnostics();
  document.version = 2;
  events.onDidChangeTextDocument({ document, contentChanges: [{ range: { start: { line: 3, character: 21 }, end: { line: 3, character: 22 } }, text: 'm' }] });
  list = await next;
  assert.strictEqual(list.length, 0);
  const hover = await providers.registerHoverProvider.provideHover(document, { line: 3, character: 15 });
  assert(hover.parts[0].parts[0].includes('block layernorm('));
  const items = await providers.registerCompletionItemProvider.provideCompletionItems(document, { line: 3, character: 15 });
  assert(items.some(item => item.parts[0] === 'layernorm'));
  const definition = await providers.registerDefinitionProvider.provideDefinition(document, { line: 3, character: 15 });
  assert(definition.parts[0].text.endsWith('/norms.gm'));
  const symbols = await providers.registerDocumentSymbolProvider.provideDocumentSymbols(document);
  assert(symbols.some(one => one.parts[0] === 'm' && one.children.length === 3));
  await extension.deactivate();
}
session().catch(error => { console.error(error); process.exit(1); });
