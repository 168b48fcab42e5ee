" Syntax of .gm model files. The lists of words are those of `gmlpc lsp --words`; tests/structure compares them.
if exists('b:current_syntax')
  finish
endif

syn keyword gmInclude import
syn keyword gmDeclaration model block bind input output param const
syn keyword gmStatement return repeat if else for or ignore shared
syn keyword gmBoolean true false
syn keyword gmName len pi inf
syn keyword gmType f32 i32 i64 u8 contained

syn match gmNumber /\<\d\+\(\.\d\+\)\?\([eE][+-]\?\d\+\)\?\>/
syn match gmOperator /[-+*\/%<>=!~|&]/
syn match gmFunction /\<\(min\|max\|abs\|where\|exp\|log\|log1p\|sqrt\|rsqrt\|sin\|cos\|tanh\|sigmoid\|erf\|floor\|round\|pow\)\>/
syn match gmReduction /\<\(sum\|mean\|max\|min\|prod\|argmax\)\>\ze\s*\[/
syn match gmInitialiser /\(\~\s*\)\@<=\<\(zeros\|ones\|constant\|normal\|trunc_normal\|uniform\|xavier\|kaiming\|measured\)\>/
syn match gmHint /\(\~\s*\)\@<=\<\(image\|text\|classes\)\>/
syn match gmElement /:\s*\h\w*/ contains=gmType
syn match gmBlockName /\(\<\(model\|block\)\s\+\)\@<=\h\w*/
" Dotted names are one word, whatever their parts are; so are paths.
syn match gmDotted /\<\h\w*\(\.\w\+\)\+/
syn match gmPath /@\s*\(shared\s\+\)\?[A-Za-z0-9_.]\+/ contains=gmStatement

syn match gmEscape /\\./ contained
syn region gmString start=/"/ skip=/\\./ end=/"/ oneline contains=gmEscape
syn match gmComment /#.*$/ contains=@Spell
syn match gmDoc /##.*$/ contains=@Spell

hi def link gmInclude Include
hi def link gmDeclaration Structure
hi def link gmStatement Statement
hi def link gmBoolean Boolean
hi def link gmName Constant
hi def link gmType Type
hi def link gmNumber Number
hi def link gmOperator Operator
hi def link gmFunction Function
hi def link gmReduction Function
hi def link gmInitialiser Special
hi def link gmHint Special
hi def link gmBlockName Identifier
hi def link gmPath PreProc
hi def link gmEscape SpecialChar
hi def link gmString String
hi def link gmComment Comment
hi def link gmDoc SpecialComment

let b:current_syntax = 'gm'
