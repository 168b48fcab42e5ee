-- A session of an editor with `gmlpc lsp`, in the folder that tests/editors/run makes.
local failures = 0
local function check(right, what)
  if right then return end
  failures = failures + 1
  io.stderr:write('FAILED: ' .. what .. '\n')
end

local function wait(condition, what)
  check(vim.wait(20000, condition, 10), what)
end

local function find(text)
  vim.fn.cursor(1, 1)
  check(vim.fn.search('\\V' .. text, 'cW') > 0, text .. ' is in the buffer')
end

local function ask(method, text)
  find(text)
  local params = vim.lsp.util.make_position_params(0, 'utf-16')
  local answers = vim.lsp.buf_request_sync(0, method, params, 20000) or {}
  for _, answer in pairs(answers) do return answer.result end
end

local function clients() -- of this buffer; the name changed with Neovim 0.10
  return vim.lsp.get_clients and vim.lsp.get_clients({ bufnr = 0 }) or vim.lsp.buf_get_clients(0)
end

local function code(diagnostic)
  return diagnostic.code or diagnostic.user_data.lsp.code
end

-- a mistake is shown while it is there
vim.cmd('edit wrong.gm')
check(vim.bo.filetype == 'gm', 'the file type is gm')
wait(function() return #vim.diagnostic.get(0) == 1 end, 'one diagnostic appears')
local diagnostic = vim.diagnostic.get(0)[1] or { user_data = { lsp = {} }, message = '' }
check(diagnostic.lnum == vim.fn.search('mean_tokenz') - 1, 'it stands on its line')
check(code(diagnostic) == 'GM021', 'its code is GM021')
check(diagnostic.message:find('did you mean mean_tokens?', 1, true), 'it suggests the right name')
find('mean_tokenz')
vim.cmd('substitute/mean_tokenz/mean_tokens/')
wait(function() return #vim.diagnostic.get(0) == 0 end, 'it goes when it is corrected')
vim.cmd('normal! Onot a statement [ (')
wait(function() return #vim.diagnostic.get(0) > 0 end, 'a syntax error appears')
local hover = ask('textDocument/hover', 'x = patch_embed')
check(hover and hover.contents.value:find('f32[196, 256]', 1, true), 'hover shows the shape while the text is broken')
find('not a statement')
vim.cmd('normal! dd')
wait(function() return #vim.diagnostic.get(0) == 0 end, 'and goes with its line')

hover = ask('textDocument/hover', 'gmlp_block')
check(hover and hover.contents.value:find('632,276 parameters', 1, true), 'hover shows the parameters of a block')
local completion = ask('textDocument/completion', 'layernorm')
local labels = {}
for _, item in ipairs(completion and completion.items or {}) do labels[item.label] = item end
check(labels.gmlp_block and labels.gmlp_block.detail:find('FFN = 6 * C', 1, true), 'completion has blocks with their signatures')
check(labels.DEPTH and labels.pixels and labels.exp, 'completion has names and functions')
completion = ask('textDocument/completion', 'repeat')
for _, item in ipairs(completion and completion.items or {}) do labels[item.label] = item end
check(labels['repeat'] and labels.param, 'completion has keywords where a statement begins')

-- into the library, which answers too
find('gmlp_block')
vim.lsp.buf.definition()
wait(function() return vim.api.nvim_buf_get_name(0):match('/gmlp%.gm$') end, 'definition opens the library')
check(vim.fn.getline('.'):match('^block gmlp_block'), 'at the block')
check(vim.bo.readonly or vim.fn.filewritable(vim.api.nvim_buf_get_name(0)) ~= 1 or vim.loop.getuid() == 0, 'which cannot be written')
wait(function() return #clients() > 0 end, 'the server serves the library')
hover = ask('textDocument/hover', 'v = layernorm')
check(hover and hover.contents.value:find('f32[196, 768]', 1, true), 'hover in the library knows the model that is open')
find('halves(x)')
vim.lsp.buf.definition()
wait(function() return vim.fn.getline('.'):match('^block halves') end, 'definition goes on inside the library')

-- formatting gives what fmt gives
vim.cmd('edit crooked.gm')
wait(function() return #clients() > 0 end, 'the server is attached')
if vim.lsp.buf.format then vim.lsp.buf.format({ timeout_ms = 20000 }) else vim.lsp.buf.formatting_sync(nil, 20000) end
local formatted, wanted = vim.api.nvim_buf_get_lines(0, 0, -1, false), vim.fn.readfile('straight.gm')
check(table.concat(formatted, '\n') == table.concat(wanted, '\n'), 'formatting gives what gmlpc fmt gives')
check(table.concat(formatted, '\n') ~= table.concat(vim.fn.readfile('crooked.gm'), '\n'), 'which is something else than before')

-- highlighting
vim.cmd('edit words.gm')
vim.cmd('source ' .. vim.fn.fnamemodify(debug.getinfo(1).source:sub(2), ':h') .. '/highlight.vim')
for _, line in ipairs(vim.fn.readfile('wrong.txt')) do check(false, line) end

vim.lsp.stop_client(vim.lsp.get_clients and vim.lsp.get_clients() or vim.lsp.get_active_clients())
vim.cmd(failures == 0 and 'qall!' or 'cquit!')
