; Where Python code states settings: classes (which of them are configuration is decided by name) and
; the option declarations of argparse, click and typer.
(class_definition) @class
(call
  function: (attribute attribute: (identifier) @_method)
  arguments: (argument_list) @option
  (#any-of? @_method "add_argument" "option"))
(module (expression_statement (assignment left: (identifier) right: (_)) @constant))
