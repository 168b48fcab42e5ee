" Settings for .gm model files; in Neovim also the language server, unless g:gmlpc_lsp is 0.
if exists('b:did_ftplugin')
  finish
endif
let b:did_ftplugin = 1
let b:undo_ftplugin = 'setlocal commentstring< comments< expandtab< shiftwidth< softtabstop< smartindent< formatprg< suffixesadd< makeprg< errorformat<'

setlocal commentstring=#\ %s comments=b:##,b:#
setlocal expandtab shiftwidth=2 softtabstop=2 smartindent
setlocal suffixesadd=.gm
if executable('gmlpc')
  setlocal formatprg=gmlpc\ fmt
  setlocal makeprg=gmlpc\ check\ %:S errorformat=%f:%l:%c:\ %trror:\ %m,%f:%l:%c:\ %tarning:\ %m,%-G%.%#
endif

if has('nvim') && get(g:, 'gmlpc_lsp', 1)
  lua require('gmlpc').attach()
endif
