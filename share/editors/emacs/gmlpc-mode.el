;;; gmlpc-mode.el --- Major mode for .gm model files  -*- lexical-binding: t; -*-

;; Version: 0.1.0
;; Package-Requires: ((emacs "26.1"))
;; Keywords: languages
;; SPDX-License-Identifier: MIT

;;; Commentary:

;; Highlighting and indentation of neural network models in .gm files, and
;; `gmlpc lsp' for eglot (in Emacs since 29; before, the package eglot): (add-hook 'gmlpc-mode-hook #'eglot-ensure).
;; The lists of words are those of `gmlpc lsp --words'; tests/structure compares them.

;;; Code:

(defgroup gmlpc nil
  "Models of gmlpc."
  :group 'languages)

(defcustom gmlpc-command "gmlpc"
  "The gmlpc program."
  :type 'string)

(defconst gmlpc-keywords
  '("import" "model" "block" "input" "output" "param" "const" "return" "repeat" "if" "else" "for" "or" "bind" "ignore" "true" "false" "shared"))
(defconst gmlpc-functions
  '("min" "max" "abs" "where" "exp" "log" "log1p" "sqrt" "rsqrt" "sin" "cos" "tanh" "sigmoid" "erf" "floor" "round" "pow"))
(defconst gmlpc-reductions
  '("sum" "mean" "max" "min" "prod" "argmax"))
(defconst gmlpc-names
  '("len" "pi" "inf"))
(defconst gmlpc-types
  '("f32" "i32" "i64" "u8"))
(defconst gmlpc-initialisers
  '("zeros" "ones" "constant" "normal" "trunc_normal" "uniform" "xavier" "kaiming" "measured"))
(defconst gmlpc-hints
  '("image" "text" "classes"))

(defconst gmlpc-font-lock-keywords
  `(("@[ \t]*\\(?:shared[ \t]+\\)?\\([[:alnum:]_.]+\\)" 1 font-lock-preprocessor-face)
    ("\\_<[[:alpha:]_][[:alnum:]_]*\\(?:\\.[[:alnum:]_]+\\)+" 0 font-lock-variable-name-face)
    ("\\_<\\(?:model\\|block\\)[ \t]+\\([[:alpha:]_][[:alnum:]_]*\\)" 1 font-lock-function-name-face)
    (,(concat "~[ \t]*" (regexp-opt (append gmlpc-initialisers gmlpc-hints) t) "\\_>") 1 font-lock-builtin-face)
    (,(concat ":[ \t]*" (regexp-opt gmlpc-types t) "\\_>") 1 font-lock-type-face)
    (,(concat (regexp-opt gmlpc-reductions 'symbols) "[ \t]*\\[") 1 font-lock-builtin-face)
    (,(regexp-opt gmlpc-keywords 'symbols) . font-lock-keyword-face)
    (,(regexp-opt gmlpc-functions 'symbols) . font-lock-builtin-face)
    (,(regexp-opt gmlpc-names 'symbols) . font-lock-constant-face)))

(defvar gmlpc-mode-syntax-table
  (let ((table (make-syntax-table)))
    (modify-syntax-entry ?# "<" table)
    (modify-syntax-entry ?\n ">" table)
    (modify-syntax-entry ?_ "_" table)
    (modify-syntax-entry ?. "_" table)
    (modify-syntax-entry ?\" "\"" table)
    table))

(defun gmlpc-indent-line ()
  "Indent by two for each brace that is open, by four inside other brackets."
  (interactive)
  (let* ((state (save-excursion (beginning-of-line) (syntax-ppss)))
         (open (nth 9 state))
         (column 0))
    (dolist (at open)
      (setq column (+ column (if (eq (char-after at) ?{) 2 4))))
    (save-excursion
      (beginning-of-line)
      (skip-chars-forward " \t")
      (when (and open (memq (char-after) '(?\} ?\) ?\])))
        (setq column (- column (if (eq (char-after) ?\}) 2 4)))))
    (if (<= (current-column) (current-indentation))
        (indent-line-to (max column 0))
      (save-excursion (indent-line-to (max column 0))))))

;;;###autoload
(define-derived-mode gmlpc-mode prog-mode "gmlpc"
  "Major mode for .gm model files."
  (setq-local comment-start "# ")
  (setq-local comment-end "")
  (setq-local comment-start-skip "#+[ \t]*")
  (setq-local indent-tabs-mode nil)
  (setq-local indent-line-function #'gmlpc-indent-line)
  (setq-local font-lock-defaults '(gmlpc-font-lock-keywords)))

;;;###autoload
(add-to-list 'auto-mode-alist '("\\.gm\\'" . gmlpc-mode))

(defvar eglot-server-programs)
(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs (cons 'gmlpc-mode (lambda (&rest _) (list gmlpc-command "lsp")))))

(provide 'gmlpc-mode)
;;; gmlpc-mode.el ends here
