-- The language server in Neovim (0.7 or newer). Called for every .gm buffer by ftplugin/gm.vim.
-- g:gmlpc_command is the program (default: gmlpc on the path).
local M = {}
local client

function M.attach()
  local command = vim.g.gmlpc_command or 'gmlpc'
  if vim.fn.executable(command) == 0 then return end
  local name = vim.api.nvim_buf_get_name(0)
  local config = {
    name = 'gmlpc',
    cmd = { command, 'lsp' },
    root_dir = name ~= '' and vim.fn.fnamemodify(name, ':p:h') or vim.fn.getcwd(),
    on_exit = function() client = nil end,
  }
  if vim.lsp.start then return vim.lsp.start(config) end
  client = client or vim.lsp.start_client(config)
  if client then vim.lsp.buf_attach_client(0, client) end
  vim.bo.omnifunc = 'v:lua.vim.lsp.omnifunc'
  return client
end

return M
