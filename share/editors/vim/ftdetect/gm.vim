autocmd BufRead,BufNewFile *.gm setfiletype gm
