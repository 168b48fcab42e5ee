" Groups of a few words of words.gm, by line and the text that begins there.
let s:wrong = []
let s:list = [
  \ [1, 'import', 'gmInclude'], [1, '"norms', 'gmString'], [1, '# a', 'gmComment'], [2, '##', 'gmDoc'],
  \ [3, 'block', 'gmDeclaration'], [3, 'f(', 'gmBlockName'], [3, 'tanh', 'gmFunction'], [3, 'N]', ''],
  \ [4, 'param', 'gmDeclaration'], [4, 'proj', 'gmDotted'], [4, 'weight', 'gmDotted'], [4, 'normal', 'gmInitialiser'], [4, '1e-6', 'gmNumber'],
  \ [5, 'max[', 'gmReduction'], [5, 'true', 'gmBoolean'], [5, 'max(', 'gmFunction'], [5, '0.5', 'gmNumber'], [5, 'pi', 'gmName'],
  \ [6, 'return', 'gmStatement'], [6, 'output', 'gmPath'], [6, '|>', 'gmOperator'],
  \ [8, 'model', 'gmDeclaration'], [8, 'm(', 'gmBlockName'], [8, 'input', 'gmDeclaration'], [8, 'i32', 'gmType'], [8, 'text', 'gmHint'],
  \ ]
for s:one in s:list
  let s:column = stridx(getline(s:one[0]), s:one[1]) + 1
  let s:group = synIDattr(synID(s:one[0], s:column, 1), 'name')
  if s:column == 0 || s:group !=# s:one[2]
    call add(s:wrong, 'highlighting: line ' . s:one[0] . ', "' . s:one[1] . '" is ' . s:group . ', not ' . s:one[2])
  endif
endfor
if &filetype !=# 'gm'
  call add(s:wrong, 'the file type is ' . &filetype)
endif
call writefile(s:wrong, 'wrong.txt')
if !has('nvim')
  qall!
endif
