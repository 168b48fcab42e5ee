// A client of `gmlpc lsp` without dependencies: the folder is an extension as it is.
'use strict';
const vscode = require('vscode');
const { spawn } = require('child_process');

let server, problems;

/* The server's side of the wire. */
class Server {
  constructor(command) {
    this.next = 1;
    this.waiting = new Map();
    this.input = Buffer.alloc(0);
    this.process = spawn(command, ['lsp'], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.process.on('error', () => vscode.window.showErrorMessage(`gmlpc: ${command} cannot be started; the setting gmlpc.command says what is`));
    this.process.on('exit', () => { for (const done of this.waiting.values()) done(null); });
    this.process.stdin.on('error', () => {});
    this.process.stdout.on('data', data => this.read(data));
    this.request('initialize', { processId: process.pid, rootUri: null, capabilities: { textDocument: { hover: { contentFormat: ['markdown'] } } } });
    this.notify('initialized', {});
  }
  send(message) {
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }));
    this.process.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
    this.process.stdin.write(body);
  }
  notify(method, params) { this.send({ method, params }); }
  request(method, params) {
    const id = this.next++;
    this.send({ id, method, params });
    return new Promise(done => this.waiting.set(id, done));
  }
  read(data) {
    this.input = Buffer.concat([this.input, data]);
    for (;;) {
      const end = this.input.indexOf('\r\n\r\n');
      if (end < 0) return;
      const size = Number(/Content-Length: *(\d+)/i.exec(this.input.toString('ascii', 0, end))[1]);
      if (this.input.length < end + 4 + size) return;
      const message = JSON.parse(this.input.toString('utf8', end + 4, end + 4 + size));
      this.input = this.input.subarray(end + 4 + size);
      if (message.method === 'textDocument/publishDiagnostics') publish(message.params);
      const done = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (done) done(message.result === undefined ? null : message.result);
    }
  }
}

const range = r => new vscode.Range(r.start.line, r.start.character, r.end.line, r.end.character);
const location = l => new vscode.Location(vscode.Uri.parse(l.uri), range(l.range));
const edit = e => new vscode.TextEdit(range(e.range), e.newText);
const name = document => ({ textDocument: { uri: document.uri.toString() } });
const at = (document, position) => ({ ...name(document), position: { line: position.line, character: position.character } });

function publish(params) {
  problems.set(vscode.Uri.parse(params.uri), params.diagnostics.map(one => {
    const diagnostic = new vscode.Diagnostic(range(one.range), one.message, one.severity - 1);
    diagnostic.code = one.code;
    diagnostic.source = one.source;
    diagnostic.relatedInformation = (one.relatedInformation || []).map(r => new vscode.DiagnosticRelatedInformation(location(r.location), r.message));
    return diagnostic;
  }));
}

function symbol(one) {
  const made = new vscode.DocumentSymbol(one.name, one.detail || '', one.kind - 1, range(one.range), range(one.selectionRange));
  made.children = (one.children || []).map(symbol);
  return made;
}

function completion(one) {
  const item = new vscode.CompletionItem(one.label, one.kind - 1);
  item.detail = one.detail;
  item.documentation = one.documentation;
  item.sortText = one.sortText;
  item.insertText = one.textEdit.newText;
  item.range = range(one.textEdit.range);
  item.additionalTextEdits = (one.additionalTextEdits || []).map(edit);
  return item;
}

function signatures(result) {
  const help = new vscode.SignatureHelp();
  help.signatures = result.signatures.map(one => {
    const made = new vscode.SignatureInformation(one.label, one.documentation);
    made.parameters = one.parameters.map(p => new vscode.ParameterInformation(p.label));
    return made;
  });
  help.activeSignature = result.activeSignature;
  help.activeParameter = result.activeParameter;
  return help;
}

function rename(result) {
  const made = new vscode.WorkspaceEdit();
  for (const uri of Object.keys(result.changes)) made.set(vscode.Uri.parse(uri), result.changes[uri].map(edit));
  return made;
}

function activate(context) {
  const ours = document => document.languageId === 'gm';
  const push = thing => context.subscriptions.push(thing);
  const ask = (method, params, make) => server.request('textDocument/' + method, params).then(result => (result ? make(result) : undefined));
  server = new Server(vscode.workspace.getConfiguration('gmlpc').get('command', 'gmlpc'));
  push(problems = vscode.languages.createDiagnosticCollection('gmlpc'));

  const open = document => ours(document) && server.notify('textDocument/didOpen', {
    textDocument: { uri: document.uri.toString(), languageId: 'gm', version: document.version, text: document.getText() } });
  vscode.workspace.textDocuments.forEach(open);
  push(vscode.workspace.onDidOpenTextDocument(open));
  push(vscode.workspace.onDidChangeTextDocument(event => ours(event.document) && server.notify('textDocument/didChange', {
    textDocument: { uri: event.document.uri.toString(), version: event.document.version },
    contentChanges: event.contentChanges.map(c => ({ range: { start: c.range.start, end: c.range.end }, text: c.text })) })));
  push(vscode.workspace.onDidSaveTextDocument(document => ours(document) && server.notify('textDocument/didSave', name(document))));
  push(vscode.workspace.onDidCloseTextDocument(document => ours(document) && server.notify('textDocument/didClose', name(document))));

  const l = vscode.languages, gm = 'gm';
  push(l.registerHoverProvider(gm, { provideHover: (d, p) => ask('hover', at(d, p), r => new vscode.Hover(new vscode.MarkdownString(r.contents.value), range(r.range))) }));
  push(l.registerDefinitionProvider(gm, { provideDefinition: (d, p) => ask('definition', at(d, p), location) }));
  push(l.registerReferenceProvider(gm, {
    provideReferences: (d, p, context) => ask('references', { ...at(d, p), context }, r => r.map(location)) }));
  push(l.registerDocumentHighlightProvider(gm, {
    provideDocumentHighlights: (d, p) => ask('documentHighlight', at(d, p), r => r.map(one => new vscode.DocumentHighlight(range(one.range), one.kind - 1))) }));
  push(l.registerRenameProvider(gm, { provideRenameEdits: (d, p, newName) => ask('rename', { ...at(d, p), newName }, rename) }));
  push(l.registerCompletionItemProvider(gm, { provideCompletionItems: (d, p) => ask('completion', at(d, p), r => r.items.map(completion)) }, '"', '~', '@', ':', '>', '['));
  push(l.registerSignatureHelpProvider(gm, { provideSignatureHelp: (d, p) => ask('signatureHelp', at(d, p), signatures) }, '(', ','));
  push(l.registerDocumentSymbolProvider(gm, { provideDocumentSymbols: d => ask('documentSymbol', name(d), r => r.map(symbol)) }));
  push(l.registerDocumentFormattingEditProvider(gm, { provideDocumentFormattingEdits: d => ask('formatting', name(d), r => r.map(edit)) }));
}

function deactivate() {
  return server && server.request('shutdown', null).then(() => server.notify('exit', null));
}

module.exports = { activate, deactivate };
